import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { CwmError } from '../protocol/errors.ts';

/** What the process was told on its command line. */
export interface EmbeddedOptions {
  /** Null for the generated model. */
  readonly modelPath: string | null;
  readonly kvDir: string;
  /** Null for the model's own, at most 32,768. */
  readonly contextTokens: number | null;
  /** Null for the physical cores but one. */
  readonly threads: number | null;
  readonly port: number;
  readonly blockTokens: number;
  readonly loadTimeoutMs: number;
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
    blockTokens: integer('block-tokens', values['block-tokens'], 1, 1024) ?? 32,
    loadTimeoutMs: integer('load-timeout-ms', values['load-timeout-ms'], 1, 3_600_000) ?? 30_000,
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
      },
    });
  } catch (cause) {
    throw new CwmError('InvalidParameter', cause instanceof Error ? cause.message : String(cause), { cause });
  }
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
