import { pathToFileURL } from 'node:url';
import * as z from 'zod/mini';
import type { EvictionPolicy } from '../../core/memory/eviction/policy.ts';
import { CwmError } from '../../protocol/errors.ts';
import { evictionPolicies } from '../../protocol/settings/sessionChoices.ts';

type Called = (...given: unknown[]) => unknown;
const callable = z.custom<Called>((value) => typeof value === 'function', 'it must be a function');

/** What a module gives: a policy, or several. */
const policySchema = z.object({
  name: z.string().check(z.regex(/^[a-z][a-z0-9-]{0,63}$/, 'it must be of lower-case letters, digits and hyphens')),
  score: callable,
  keptTokens: z.optional(callable),
  heldShare: z.optional(z.number().check(z.minimum(0), z.maximum(1))),
});
type Given = z.infer<typeof policySchema>;

interface FailureLog {
  failure(event: string, error: unknown): void;
}

/**
 * Policies of eviction that the user of this machine wrote: the default export of an ES module, one or a list. The module runs in this process
 * and may do whatever the process may, so that only the backend's own command line or environment names it, never a project.
 *
 * A policy that throws, or says what is no number, costs no turn: the oldest messages leave then, and the log says so once.
 *
 * @throws CwmError InvalidParameter: the module cannot be loaded, or is no policy.
 */
export async function loadPolicies(file: string, log: FailureLog): Promise<EvictionPolicy[]> {
  const given = await exported(file);
  const parsed = z
    .array(policySchema)
    .check(z.minLength(1))
    .safeParse(Array.isArray(given) ? given : [given]);
  if (!parsed.success) throw unusable(file, parsed.error.issues.map(issueText).join(' '));
  const names = parsed.data.map(({ name }) => name);
  const taken = names.find((name, at) => evictionPolicies.some((each) => each === name) || names.indexOf(name) < at);
  if (taken !== undefined) throw unusable(file, `there is a policy ${JSON.stringify(taken)} already.`);
  return parsed.data.map((policy) => guarded(policy, file, log));
}

async function exported(file: string): Promise<unknown> {
  try {
    const { default: given } = (await import(pathToFileURL(file).href)) as { readonly default?: unknown };
    return given;
  } catch (error) {
    throw unusable(file, error instanceof Error ? error.message : String(error));
  }
}

const issueText = ({ path: [, field], message }: z.core.$ZodIssue): string =>
  field === undefined ? `${message}.` : `"${String(field)}": ${message}.`;

const unusable = (file: string, why: string): CwmError =>
  new CwmError('InvalidParameter', `The file of eviction policies ${file} cannot be used: ${why}`, {
    hint: 'Its default export must be an object with "name" and "score", or a list of such. Without --memory-policy-file the backend starts with its own.',
  });

function guarded(policy: Given, file: string, log: FailureLog): EvictionPolicy {
  const { name, heldShare, keptTokens } = policy;
  let isTold = false;
  const numberOf = (what: string, call: () => unknown): number | null => {
    try {
      const value = call();
      if (typeof value === 'number' && Number.isFinite(value)) return value;
      // Nobody waits for a promise, whose failure would end the process.
      Promise.resolve(value).catch(() => undefined);
      throw new TypeError(`"${what}" returned ${String(value)}, which is no number`);
    } catch (error) {
      if (!isTold) log.failure(`the eviction policy "${name}" of ${file} failed, and the oldest messages leave`, error);
      isTold = true;
      return null;
    }
  };
  return {
    name,
    // Copies: what a policy writes reaches nothing of ours.
    score: (candidate, pressure) =>
      numberOf('score', () => policy.score(structuredClone(candidate), { ...pressure })) ?? candidate.position,
    ...(keptTokens && {
      keptTokens: (pressure) =>
        Math.max(0, numberOf('keptTokens', () => keptTokens.call(policy, { ...pressure })) ?? pressure.target),
    }),
    ...(heldShare !== undefined && { heldShare }),
  };
}
