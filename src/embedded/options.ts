import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { CwmError } from '../protocol/errors.ts';
import { isBuiltInTemplate } from './model/builtInTemplates.ts';
import { gpuChoices, kvTypes, type GpuChoice, type KvType } from '../protocol/settings/embeddedFlags.ts';

/** The process' command line. */
export interface EmbeddedOptions {
  /** Null for the generated model. */
  readonly modelPath: string | null;
  readonly kvDir: string;
  /** Null for the model's own, at most 32,768. */
  readonly contextTokens: number | null;
  /** Null for the physical cores but one. */
  readonly threads: number | null;
  readonly port: number;
  /** Null for as many as suit the model's KV. */
  readonly blockTokens: number | null;
  readonly loadTimeoutMs: number;
  /** `auto` means the CPU for the generated model, whose noise would differ from machine to machine. */
  readonly gpu: GpuChoice;
  /** Layers on the GPU; null for as many as fit. */
  readonly gpuLayers: number | null;
  readonly kvType: KvType;
  /** Name of a built-in chat template or absolute path of a file with one; null for the model's own. */
  readonly chatTemplate: string | null;
}

/** @throws CwmError InvalidParameter that names the flag that is wrong. */
export function parseOptions(args: readonly string[]): EmbeddedOptions {
  const { values } = readFlags(args);
  const { model } = values;
  if (values['kv-dir'] === undefined || values['kv-dir'] === '') {
    throw new CwmError('InvalidParameter', 'The flag --kv-dir is missing: it names the folder for KV blocks.');
  }
  return {
    modelPath: model === undefined ? null : resolve(model),
    kvDir: resolve(values['kv-dir']),
    contextTokens: integer('context', values.context, 64, 1 << 24),
    threads: integer('threads', values.threads, 1, 1024),
    port: integer('port', values.port, 0, 65_535) ?? 0,
    blockTokens: integer('block-tokens', values['block-tokens'], 1, 1024),
    loadTimeoutMs: integer('load-timeout-ms', values['load-timeout-ms'], 1, 3_600_000) ?? 30_000,
    gpu: choice('gpu', values.gpu, gpuChoices, 'auto'),
    gpuLayers: integer('gpu-layers', values['gpu-layers'], 0, 10_000),
    kvType: choice('kv-type', values['kv-type'], kvTypes, 'f16'),
    chatTemplate: templateOf(values['chat-template']),
  };
}

function readFlags(args: readonly string[]) {
  try {
    const flag = { type: 'string' } as const;
    return parseArgs({
      args: [...args],
      options: {
        model: flag,
        'kv-dir': flag,
        context: flag,
        threads: flag,
        port: flag,
        'block-tokens': flag,
        'load-timeout-ms': flag,
        gpu: flag,
        'gpu-layers': flag,
        'kv-type': flag,
        'chat-template': flag,
      },
    });
  } catch (cause) {
    throw new CwmError('InvalidParameter', cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

function templateOf(text: string | undefined): string | null {
  if (text === undefined || text === '') return null;
  return isBuiltInTemplate(text) ? text : resolve(text);
}

function choice<Value extends string>(
  name: string,
  text: string | undefined,
  known: readonly Value[],
  byDefault: Value,
): Value {
  const value = text === undefined ? byDefault : known.find((one) => one === text);
  if (value !== undefined) return value;
  throw new CwmError('InvalidParameter', `The flag --${name} takes one of ${known.join(', ')}, not "${text}".`);
}

function integer(name: string, text: string | undefined, least: number, most: number): number | null {
  if (text === undefined) return null;
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= least && value <= most) return value;
  throw new CwmError(
    'InvalidParameter',
    `The flag --${name} takes a whole number from ${least} to ${most}, not "${text}".`,
  );
}
