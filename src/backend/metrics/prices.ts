import { readFile } from 'node:fs/promises';
import * as z from 'zod/mini';
import type { Cost, TokensTaken } from '../../protocol/schemas/session.ts';
import { lineOf, type UsageLine } from './usageLedger.ts';

const amount = z.number().check(z.nonnegative());

/** For a million tokens. */
const priceSchema = z.object({
  input: amount,
  /** Of input that the server reused. Default: as `input`. */
  cachedInput: z.optional(amount),
  output: amount,
});
type Price = z.infer<typeof priceSchema>;

const fileSchema = z.object({
  /** Any label, like `EUR`. */
  currency: z.optional(z.string().check(z.minLength(1), z.maxLength(20))),
  models: z.record(z.string(), z.unknown()),
});

export interface Prices {
  /** Null: the file names none. */
  readonly currency: string | null;
  readonly ofModel: ReadonlyMap<string, Price>;
  /** What is wrong with the file, in plain words. */
  readonly notes: readonly string[];
}

const noPrices = (...notes: readonly string[]): Prices => ({ currency: null, ofModel: new Map(), notes });

/** Reads the user's price table. A file that is not there has no prices, and an entry that cannot be used costs only itself. */
export async function readPrices(file: string): Promise<Prices> {
  let given: unknown;
  try {
    given = JSON.parse(await readFile(file, 'utf8'));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return noPrices();
    return noPrices(code === undefined ? `${file} is not JSON.` : `${file} cannot be read (${code}).`);
  }
  const parsed = fileSchema.safeParse(given);
  if (!parsed.success) return noPrices(`${file} is no table of prices.`);
  const { currency = null, models } = parsed.data;
  const ofModel = new Map<string, Price>();
  const notes: string[] = [];
  for (const [model, entry] of Object.entries(models)) {
    const price = priceSchema.safeParse(entry);
    if (price.success) ofModel.set(model, price.data);
    else
      notes.push(`The price of "${model}" in ${file} is left out: it needs the numbers "input" and "output", from 0.`);
  }
  return { currency, ofModel, notes };
}

/** What one request cost; null also where the model server did not count its tokens. */
export function costOfRequest(prices: Prices, taken: TokensTaken): Cost | null {
  const line = lineOf('', '', '', taken);
  const amount = line.uncounted > 0 ? null : costOf(prices, line);
  return amount === null ? null : { amount, currency: prices.currency };
}

/** What the counted tokens cost. Null: the model has no price. Tokens whose reuse the server did not tell cost as computed ones. */
export function costOf({ ofModel }: Prices, line: UsageLine): number | null {
  const price = ofModel.get(line.model);
  if (!price) return null;
  const { input, cachedInput = input, output } = price;
  const notReused = line.promptTokens - line.cachedTokens;
  return (notReused * input + line.cachedTokens * cachedInput + line.outputTokens * output) / 1e6;
}
