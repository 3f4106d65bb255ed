"""A program over the PyPI package `openai` or langchain: one turn of a conversation that it keeps in a file.

python chat.py KIND BASE_URL KEY MODEL FILE TEXT
"""

import json
import os
import sys

kind, base_url, key, model, file, text = sys.argv[1:]
messages = json.load(open(file)) if os.path.exists(file) else [{"role": "system", "content": "You are terse."}]
messages.append({"role": "user", "content": text})
parameters = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
tools = [{"type": "function", "function": {"name": "read_file", "description": "Reads a file", "parameters": parameters}}]


def ask_openai():
    import openai

    client = openai.OpenAI(base_url=base_url, api_key=key)
    answer = {"role": "assistant", "content": ""}
    for chunk in client.chat.completions.create(model=model, messages=messages, tools=tools, stream=True):
        delta = chunk.choices[0].delta if chunk.choices else None
        if delta and delta.content:
            print(delta.content, end="", flush=True)
            answer["content"] += delta.content
        if delta and delta.tool_calls:
            answer["tool_calls"] = [call.model_dump(exclude={"index"}) for call in delta.tool_calls]
    return answer


def ask_langchain():
    from langchain_core.messages import convert_to_openai_messages
    from langchain_openai import ChatOpenAI

    chat = ChatOpenAI(base_url=base_url, api_key=key, model=model).bind_tools(tools)
    whole = None
    for chunk in chat.stream(messages):
        print(chunk.text if isinstance(chunk.text, str) else chunk.text(), end="", flush=True)
        whole = chunk if whole is None else whole + chunk
    return convert_to_openai_messages(whole)


while True:
    answer = ask_openai() if kind == "openai" else ask_langchain()
    messages.append(answer)
    if not answer.get("tool_calls"):
        break
    for call in answer["tool_calls"]:
        messages.append({"role": "tool", "tool_call_id": call["id"], "content": "Red."})
json.dump(messages, open(file, "w"))
