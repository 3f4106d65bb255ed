/** A start option of llama-server that decides what its KV is worth, and that the server reports nowhere. */
interface KvOption {
  readonly names: readonly string[];
  /** The variable that stands for it where the command line does not have it. */
  readonly variable: string | null;
  /** Given with this value, it is as if it were not given. */
  readonly usual?: string;
  /** Each occurrence counts; of the others, the last one. */
  readonly isRepeated?: true;
}

const kvOptions: readonly KvOption[] = [
  { names: ['--cache-type-k', '-ctk'], variable: 'LLAMA_ARG_CACHE_TYPE_K', usual: 'f16' },
  { names: ['--cache-type-v', '-ctv'], variable: 'LLAMA_ARG_CACHE_TYPE_V', usual: 'f16' },
  { names: ['--rope-scaling'], variable: 'LLAMA_ARG_ROPE_SCALING_TYPE' },
  { names: ['--rope-scale'], variable: 'LLAMA_ARG_ROPE_SCALE' },
  { names: ['--rope-freq-base'], variable: 'LLAMA_ARG_ROPE_FREQ_BASE' },
  { names: ['--rope-freq-scale'], variable: 'LLAMA_ARG_ROPE_FREQ_SCALE' },
  { names: ['--yarn-orig-ctx'], variable: 'LLAMA_ARG_YARN_ORIG_CTX' },
  { names: ['--yarn-ext-factor'], variable: 'LLAMA_ARG_YARN_EXT_FACTOR' },
  { names: ['--yarn-attn-factor'], variable: 'LLAMA_ARG_YARN_ATTN_FACTOR' },
  { names: ['--yarn-beta-slow'], variable: 'LLAMA_ARG_YARN_BETA_SLOW' },
  { names: ['--yarn-beta-fast'], variable: 'LLAMA_ARG_YARN_BETA_FAST' },
  { names: ['--grp-attn-n', '-gan'], variable: 'LLAMA_ARG_GRP_ATTN_N', usual: '1' },
  { names: ['--grp-attn-w', '-gaw'], variable: 'LLAMA_ARG_GRP_ATTN_W' },
  { names: ['--override-kv'], variable: null, isRepeated: true },
  { names: ['--control-vector'], variable: null, isRepeated: true },
  { names: ['--control-vector-scaled'], variable: null, isRepeated: true },
  { names: ['--control-vector-layer-range'], variable: null },
];

/** Variables that start otherwise are none of ours to read. */
export const kvVariables = /^LLAMA_ARG_/;

/**
 * The options that decide what the KV of a llama-server is worth, of its command line and its environment: `--rope-scale 2`, joined by
 * spaces, in an order of their own. Empty where it was started without any.
 */
export function kvOptionsIn(args: readonly string[], variables: Readonly<Record<string, string>>): string {
  const given = occurrences(args);
  return kvOptions
    .flatMap(({ names, variable, usual, isRepeated }) => {
      const all = given.filter(({ name }) => names.includes(name)).map(({ value }) => value);
      const fallback = variable === null ? undefined : variables[variable];
      const found = all.length === 0 && fallback !== undefined ? [normal(fallback)] : all;
      const values = isRepeated ? found : found.slice(-1);
      return values.filter((value) => value !== '' && value !== usual).map((value) => `${names[0]} ${value}`);
    })
    .join(' ');
}

/** Each option with what follows it up to the next one: a control vector has a file and a scale. */
function occurrences(args: readonly string[]): { readonly name: string; readonly value: string }[] {
  const found: { name: string; values: string[] }[] = [];
  for (const arg of args) {
    const [, option, attached] = /^(--?[A-Za-z][^\s=]*)(?:=(.*))?$/su.exec(arg) ?? [];
    if (option === undefined) found.at(-1)?.values.push(normal(arg));
    // llama.cpp takes "_" for "-" in names.
    else found.push({ name: option.replaceAll('_', '-'), values: attached === undefined ? [] : [normal(attached)] });
  }
  return found.map(({ name, values }) => ({ name, value: values.join(' ') }));
}

/** 2, 2.0 and 2e0 are one number. */
const normal = (value: string): string => (/^[-+]?[\d.]+(e[-+]?\d+)?$/i.test(value) ? String(Number(value)) : value);
