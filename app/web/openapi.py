"""`DocumentedApp`: describes the archive in OpenAPI as it is, and not as FastAPI guesses.

Every path but those of `app.web.health` wants a token, and every refusal is problem+json. The
document is committed as openapi/hilum.json; a test compares.
"""

from typing import Any

import orjson
from fastapi import FastAPI

SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An access token."},
    "basic": {"type": "http", "scheme": "basic", "description": "An access token as password."},
}
PROBLEM = {
    "description": "What went wrong (RFC 9457).",
    "content": {
        "application/problem+json": {
            "schema": {
                "type": "object",
                "required": ["type", "title", "status", "detail", "request_id"],
                "properties": {
                    "type": {"type": "string"},
                    "title": {"type": "string"},
                    "status": {"type": "integer"},
                    "detail": {"type": "string"},
                    "request_id": {"type": "string"},
                    "code": {"type": "string", "description": "which kind of error it is"},
                    "parameter": {"type": "string"},
                    "reason": {"type": "string", "description": "what is wrong with it"},
                },
            }
        }
    },
}


class DocumentedApp(FastAPI):
    """A FastAPI application whose document tells of its tokens and its errors."""

    def openapi(self) -> dict[str, Any]:
        """The document, made once."""
        if self.openapi_schema is None:
            document = super().openapi()
            components = document.setdefault("components", {})
            for name in ("HTTPValidationError", "ValidationError"):
                components.get("schemas", {}).pop(name, None)
            components["securitySchemes"] = SECURITY
            components["responses"] = {"Problem": PROBLEM}
            document["security"] = [{name: []} for name in SECURITY]
            for methods in document["paths"].values():
                for operation in methods.values():
                    operation["responses"].pop("422", None)
                    operation["responses"]["default"] = {"$ref": "#/components/responses/Problem"}
            self.openapi_schema = document
        return self.openapi_schema


def openapi_text(app: FastAPI) -> bytes:
    """The document as it is committed."""
    return orjson.dumps(app.openapi(), option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n"
