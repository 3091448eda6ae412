"""Pages for people: server-rendered, in English and French, without a build step or anything from elsewhere."""

from gladys_companion.pages.i18n import LANGUAGES, Translator, choose
from gladys_companion.pages.lazy import Pages
from gladys_companion.pages.static import STATIC, static_file

__all__ = ["LANGUAGES", "STATIC", "Pages", "Translator", "choose", "static_file"]
