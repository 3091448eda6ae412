"""The categories and units of features that Gladys knows: it refuses a device with any other.

Source: ``DEVICE_FEATURE_CATEGORIES`` and ``DEVICE_FEATURE_UNITS`` of Gladys Assistant 4, ``server/utils/constants.js``.
"""

import re

__all__ = ["CATEGORIES", "UNITS"]

CATEGORIES = frozenset(
    re.findall(
        r"\S+",
        "child-lock airquality-sensor air-conditioning angle-sensor battery battery-low battery-storage "
        "button camera charging-station cube currency co-sensor co2-sensor counter-sensor curtain data "
        "datarate device-temperature-sensor distance-sensor doorbell duration electrical-vehicle-battery "
        "electrical-vehicle-charge electrical-vehicle-drive electrical-vehicle-consumption electrical- "
        "vehicle-state electrical-vehicle-climate electrical-vehicle-command energy-sensor energy-production- "
        "sensor fan grid-carbon-sensor grid-sensor heater hepa-filter-monitoring home-output-sensor humidity- "
        "sensor leak-sensor light light-sensor level-sensor motion-sensor lock maintenance music noise-sensor "
        "opening-sensor orp-sensor ph-sensor pm25-sensor pm10-sensor formaldehyd-sensor no2-sensor o3-sensor "
        "so2-sensor precipitation-sensor presence-sensor pressure-sensor rain-sensor risk shutter signal "
        "siren sismic-sensor smoke-sensor soil-moisture-sensor surface switch speed-sensor tamper "
        "teleinformation television temperature-sensor thermostat unknown uv-sensor vibration-sensor voc- "
        "sensor voc-index-sensor voc-matter-index-sensor no2-matter-index-sensor volume-sensor vacuum-cleaner "
        "text input water-heater water-valve ",
    )
)

UNITS = frozenset(
    re.findall(
        r"\S+",
        "celsius fahrenheit kelvin percent pascal hPa kPa bar psi milli-bar lux ppm ppb ppt watt kilowatt "
        "watt-hour kilowatt-hour megawatt-hour ampere milliampere millivolt volt kilovolt-ampere volt-ampere "
        "volt-ampere-reactive mm cm m km inch feet mile square-centimeter square-meter square-kilometer "
        "degree liter milliliter cubicmeter cubic-meter-per-hour euro dollar bitcoin litecoin dogecoin "
        "ethereum pound-sterling meter-per-second kilometer-per-hour feet-per-second mile-per-hour "
        "millimeter-per-hour millimeter-per-day uv-index microseconds milliseconds seconds minutes hours days "
        "weeks months years bit kilobit megabit gigabit byte kilobyte megabyte gigabyte terabyte bits-per- "
        "second kilobits-per-second megabits-per-second gigabits-per-second bytes-per-second kilobytes-per- "
        "second megabytes-per-second gigabytes-per-second aqi ph milligram-per-cubic-meter microgram-per- "
        "cubic-meter nanogram-per-cubic-meter particles-per-cubic-meter becquerel-per-cubic-meter decibel ",
    )
)
