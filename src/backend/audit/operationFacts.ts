import type { RouteName } from '../../protocol/api.ts';
import { CwmError } from '../../protocol/errors.ts';
import { parseSessionId, parseWindowName } from '../../protocol/ids.ts';

/** The ids that an operation is about. */
export interface OperationIds {
  readonly session?: string;
  readonly window?: string;
  /** Window that was cloned. */
  readonly source?: string;
}

/** The ids in an operation's input or result. Any other value may be a text, or a secret in the wrong place. */
export function operationIds(route: RouteName | null, fields: unknown): OperationIds {
  if (typeof fields !== 'object' || fields === null) return {};
  const { id, session = id, window, target } = fields as Record<string, unknown>;
  const names = route === 'clone' && target !== undefined ? { source: window, window: target } : { window };
  const ids: Record<string, string | null> = { session: idOrNull(session, parseSessionId) };
  for (const [key, value] of Object.entries(names)) ids[key] = idOrNull(value, parseWindowName);
  return Object.fromEntries(Object.entries(ids).filter(([, value]) => value !== null));
}

function idOrNull(value: unknown, parse: (text: string) => string): string | null {
  try {
    return typeof value === 'string' ? parse(value) : null;
  } catch (error) {
    if (error instanceof CwmError) return null;
    throw error;
  }
}

/** The numbers in a result and the lengths of its lists, never a text. For a receipt, it counts the blocks that were checked. */
export function operationCounts(result: unknown): Readonly<Record<string, number>> {
  if (typeof result !== 'object' || result === null) return {};
  const counts: Record<string, number> = {};
  for (const [name, value] of Object.entries(result)) {
    if (typeof value === 'number') counts[name] = value;
    else if (Array.isArray(value)) counts[name] = value.length;
  }
  const { content } = result as { content?: { blocksChecked?: unknown } };
  if (typeof content?.blocksChecked === 'number') counts['blocksChecked'] = content.blocksChecked;
  return counts;
}
