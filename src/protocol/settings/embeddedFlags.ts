/** Where a model is computed: `auto` takes the best that this machine and this package have. */
export const gpuChoices = ['auto', 'off', 'metal', 'cuda', 'vulkan'] as const;
export type GpuChoice = (typeof gpuChoices)[number];

/** Element types of the KV cache, from exact to small. */
export const kvTypes = ['f32', 'f16', 'bf16', 'q8_0', 'q4_0'] as const;
export type KvType = (typeof kvTypes)[number];

/**
 * What the embedded engine can be started with, by the name of its flag. The backend takes each as `--embedded-<name>`, and so
 * does `cwm serve`, which shows these words.
 */
export const embeddedFlags = {
  threads: 'threads that compute; default: the physical cores, less one',
  context: "tokens of context; default: the model's own, at most 32,768",
  gpu: 'where it computes: auto (default), off, metal, cuda or vulkan',
  'gpu-layers': 'layers on the GPU; default: as many as fit',
  'kv-type': 'element type of the KV cache: f16 (default), f32, bf16, q8_0 or q4_0',
  'chat-template': "chat template: gemma, llama3, chatml, phi3, mistral or a Jinja file; default: the model's own",
} as const;
export type EmbeddedFlag = keyof typeof embeddedFlags;

export const embeddedFlagNames = Object.keys(embeddedFlags) as readonly EmbeddedFlag[];
