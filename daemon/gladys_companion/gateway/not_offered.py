"""What Gladys Plus has and this gateway has not: asked for, it says so, instead of that there is no such route.

Source: the routes of the gladys-gateway server.
"""

from __future__ import annotations

from collections.abc import Mapping

from gladys_companion.errors import RequestError

__all__ = ["NOT_OFFERED", "refuse"]

NOT_OFFERED: Mapping[str, str] = {
    "/users/signup": "there is no sign-up: `gladys-companion gateway account create`, at the gateway, makes a login",
    "/users/verify": "there is no mail",
    "/users/forgot-password": "there is no mail: `gladys-companion gateway account password`, at the gateway, helps",
    "/users/reset-password": "there is no mail: `gladys-companion gateway account password`, at the gateway, helps",
    "/users/two-factor": "`gladys-companion gateway account reset-two-factor`, at the gateway, changes it",
    "/invitations": "a home has one login",
    "/accounts": "there is nothing to pay for",
    "/stripe": "there is nothing to pay for",
    "/stats": "there are none",
    "/backups": "there is no backup of Gladys here: make it at home",
    "/cameras": "cameras are not passed on",
    "/openai": "there is no AI",
    "/tts": "there is no AI",
    "/google": "there is no Google Home",
    "/alexa": "there is no Alexa",
    "/enedis": "there is no Enedis",
    "/ecowatt": "there is no Ecowatt",
    "/edf": "there is no EDF Tempo",
    "/v1/api/gladys": "there is no news of versions here",
    "/v1/api/google": "there is no Google Home",
    "/v1/api/alexa": "there is no Alexa",
    "/v1/api/netatmo": "webhooks of Netatmo are not passed on",
    "/v1/api/mcp": "there is no MCP",
}


def refuse(path: str) -> None:
    """Return if a path is nothing of Gladys Plus' that is missing here.

    Raises:
        RequestError: 501 ``NOT_OFFERED``.
    """
    parts = path.split("/")
    for count in range(len(parts), 1, -1):
        why = NOT_OFFERED.get("/".join(parts[:count]))
        if why is not None:
            raise RequestError(501, "NOT_OFFERED", f"This gateway does not offer that: {why}.")
