"""Pages for people: server-rendered, in English and French, without a build step or anything from elsewhere.

``render`` is imported by who shows one, for its templates cost memory and time that a gateway without visitors need not
spend.
"""

from gladys_companion.pages.i18n import LANGUAGES, Translator, choose
from gladys_companion.pages.static import STATIC, static_file

__all__ = ["LANGUAGES", "STATIC", "Translator", "choose", "static_file"]
