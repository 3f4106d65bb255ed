"""The PyPI package `mcp` against `cwm mcp`: the arguments are the command line of the server."""

import asyncio
import sys

from mcp import Client, StdioServerParameters
from mcp.types import ElicitResult


async def answer(context, params):
    print("asked", params.message[:17])
    return ElicitResult(action="accept", content={"delete": True})


async def main() -> None:
    server = StdioServerParameters(command=sys.argv[1], args=sys.argv[2:])
    async with Client(server, elicitation_callback=answer) as client:
        tools = await client.list_tools()
        print("tools", len(tools.tools))
        await client.call_tool("window_freeze", {"session_id": "python", "window_name": "w"})

        async def step(progress, total, message):
            print("step", message)

        thawed = await client.call_tool("window_thaw", {"window_name": "w"}, progress_callback=step)
        print("verdict", thawed.structured_content["verdict"])
        deleted = await client.call_tool("window_delete", {"window_name": "w"})
        print(deleted.content[0].text)
        left = await client.call_tool("window_list", {})
        print("windows left", left.structured_content["total"])


asyncio.run(main())
