"""The tools, resources and prompts that the conformance suite of MCP looks for, added to a server."""

from __future__ import annotations

import base64
from typing import Any

from mcp.server.mcpserver import UserMessage
from mcp.types import AudioContent, EmbeddedResource, ImageContent, TextContent, TextResourceContents

_DATA = base64.b64encode(b"not looked into").decode()
IMAGE = ImageContent(type="image", data=_DATA, mime_type="image/png")
SOUND = AudioContent(type="audio", data=_DATA, mime_type="audio/wav")
TEXT = TextContent(type="text", text="This is a simple text response for testing.")


def embedded(uri: str) -> EmbeddedResource:
    """A text that is sent along."""
    resource = TextResourceContents(uri=uri, mime_type="text/plain", text="This is an embedded resource content.")
    return EmbeddedResource(type="resource", resource=resource)


def add_fixtures(server: Any) -> Any:
    """Add them; returns the server."""
    tools = {
        "test_simple_text": [TEXT], "test_image_content": [IMAGE], "test_audio_content": [SOUND],
        "test_embedded_resource": [embedded("test://embedded-resource")],
        "test_multiple_content_types": [TEXT, IMAGE, embedded("test://mixed-content-resource")],
    }  # fmt: skip
    for name, content in tools.items():
        server.tool(name=name, description="for tests", structured_output=False)(lambda content=content: content)

    @server.tool(name="test_error_handling", description="for tests", structured_output=False)
    def failing() -> str:
        raise ValueError("This tool intentionally returns an error for testing")

    @server.resource("test://static-text", mime_type="text/plain")
    def static_text() -> str:
        return "This is the content of the static text resource."

    @server.resource("test://static-binary", mime_type="image/png")
    def static_binary() -> bytes:
        return b"\x89PNG"

    @server.resource("test://template/{id}/data", mime_type="application/json")
    def templated(id: str) -> str:
        return f'{{"id": "{id}", "templateTest": true, "data": "Data for ID: {id}"}}'

    @server.prompt(name="test_simple_prompt", description="for tests")
    def simple() -> str:
        return "This is a simple prompt for testing."

    @server.prompt(name="test_prompt_with_arguments", description="for tests")
    def with_arguments(arg1: str, arg2: str) -> str:
        return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"

    @server.prompt(name="test_prompt_with_embedded_resource", description="for tests")
    def with_resource(resourceUri: str) -> list:
        return [UserMessage(embedded(resourceUri)), UserMessage("Please process the embedded resource above.")]

    @server.prompt(name="test_prompt_with_image", description="for tests")
    def with_image() -> list:
        return [UserMessage(IMAGE), UserMessage("Please analyze the image above.")]

    return server
