"""Talks a trace through chuk-ai-session-manager in each of its modes, and prints a JSON row for each.

Usage: chuk.py < {"trace": [{"user", "assistant", "asked"}], "systemPrompt", "limit"}

Four characters are a token. What a prompt has in common with the last prompt and its answer counts as reused, character by character.
Nothing plays a model that would fault pages in: what a mode puts into the prompt by itself is what counts.
"""

import asyncio
import json
import logging
import os.path
import sys
import time

from chuk_ai_session_manager import SessionManager
from chuk_ai_session_manager.memory import VMMode, WorkingSetConfig

logging.disable(logging.CRITICAL)
given = json.load(sys.stdin)
trace, limit = given["trace"], given["limit"]
NO_MORE = 10**6


async def talk(mode, **options):
    manager = SessionManager(system_prompt=given["systemPrompt"], **options)
    last = ""
    row = dict(mode=mode, sent=0, computed=0, largest=0, over=0, decisions=0)
    took = []
    for turn in trace:
        started = time.perf_counter()
        await manager.user_says(turn["user"])
        messages = await manager.get_messages_for_llm()
        spent = time.perf_counter() - started
        prompt = "".join(f"<|{each['role']}|>{each['content']}\n" for each in messages)
        sent = len(prompt) / 4
        row["sent"] += sent
        row["computed"] += sent - len(os.path.commonprefix([last, prompt])) / 4
        row["largest"] = max(row["largest"], sent)
        row["over"] += sent > limit
        asked = turn["asked"]
        row["decisions"] += asked is not None and asked in prompt
        answer = turn["assistant"] if asked is None else f"{asked}."
        started = time.perf_counter()
        await manager.ai_responds(answer, model="script", provider="local")
        took.append(spent + time.perf_counter() - started)
        if manager.vm and not options.get("infinite_context"):
            manager.vm.new_turn()
        last = f"{prompt}<|assistant|>{answer}\n"
    last50 = took[-50:]
    row["msOfLastTurns"] = 1000 * sum(last50) / len(last50)
    print(json.dumps(row), flush=True)


async def main():
    working_set = lambda: WorkingSetConfig(max_l0_tokens=limit)
    seven_eighths = limit * 7 // 8
    await talk("plain")
    await talk("infinite, as it comes", infinite_context=True)
    await talk("infinite, 7/8 of the limit", infinite_context=True, token_threshold=seven_eighths, max_turns_per_segment=NO_MORE)
    await talk("virtual memory, strict", enable_vm=True, vm_config=working_set(), vm_mode=VMMode.STRICT)
    await talk("virtual memory, relaxed", enable_vm=True, vm_config=working_set(), vm_mode=VMMode.RELAXED)
    await talk(
        "virtual memory and infinite",
        enable_vm=True,
        vm_config=working_set(),
        infinite_context=True,
        token_threshold=seven_eighths,
        max_turns_per_segment=NO_MORE,
    )


asyncio.run(main())
