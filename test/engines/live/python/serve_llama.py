"""Runs llama.cpp's own HTTP server, which the wheel xllamacpp carries, until it is told to end. Usage: serve_llama.py JSON"""

import json
import os
import sys
import threading

import xllamacpp

start = json.loads(sys.argv[1])
params = xllamacpp.CommonParams()
params.model.path = start["modelPath"]
params.hostnames, params.port = ["127.0.0.1"], start["port"]
params.n_ctx, params.n_parallel, params.warmup = start["contextTokens"], start["slots"], False
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = start["threads"]
params.endpoint_slots = params.endpoint_metrics = params.endpoint_props = True
if "slotDir" in start:
    params.slot_save_path = os.path.join(start["slotDir"], "")  # the server appends the file's name to it as it is
if "chatTemplate" in start:
    with open(start["chatTemplate"], encoding="utf-8") as template:
        params.chat_template = template.read()
if "servedName" in start:
    params.model_alias = {start["servedName"]}
if "cacheType" in start:
    params.cache_type_k = params.cache_type_v = getattr(xllamacpp.ggml_type, "GGML_TYPE_" + start["cacheType"].upper())
if "cacheRamMib" in start:
    params.cache_ram_mib = start["cacheRamMib"]
if start.get("sharesCache"):
    params.kv_unified = True
if "ropeScale" in start:
    params.rope_freq_scale = 1 / start["ropeScale"]
if start.get("embeds"):
    params.embedding = True
    params.n_batch = params.n_ubatch = 512  # a text is computed in one piece
    params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN  # a chat model's file names none
if "apiKey" in start:
    params.api_keys = [start["apiKey"]]

server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
threading.Event().wait()  # the default action of a signal ends the process: nothing is left to save
