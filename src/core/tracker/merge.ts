import type { JsonObject, StateContent } from '../../protocol/schemas/tracker.ts';
import { isJsonObject, sameJson } from './state.ts';

/** There is no value under this name. */
const absent = Symbol('absent');
type Value = unknown;

/**
 * Both sides' changes since `base`, name by name and into objects within objects; a list is one value. When both changed the same
 * value, that of `latest` wins; when one removed what the other changed, the change stays.
 *
 * Both sides get the same result, because with the sides swapped `latest` is the same one.
 */
export function mergeContent(base: StateContent, latest: StateContent, other: StateContent): StateContent {
  return {
    data: mergeObjects(base.data, latest.data, other.data),
    metadata: mergeObjects(base.metadata, latest.metadata, other.metadata),
  };
}

function mergeObjects(base: JsonObject, latest: JsonObject, other: JsonObject): JsonObject {
  const names = new Set([...Object.keys(base), ...Object.keys(latest), ...Object.keys(other)]);
  const merged = Array.from(names, (name): [string, Value] => [
    name,
    mergeValues(valueOf(base, name), valueOf(latest, name), valueOf(other, name)),
  ]);
  return Object.fromEntries(merged.filter(([, value]) => value !== absent));
}

function mergeValues(base: Value, latest: Value, other: Value): Value {
  if (sameValue(latest, other) || sameValue(other, base)) return latest;
  if (sameValue(latest, base)) return other;
  if (latest === absent) return other;
  if (other === absent) return latest;
  if (!isJsonObject(latest) || !isJsonObject(other)) return latest;
  return mergeObjects(isJsonObject(base) ? base : {}, latest, other);
}

const valueOf = (object: JsonObject, name: string): Value => (Object.hasOwn(object, name) ? object[name] : absent);

const sameValue = (a: Value, b: Value): boolean => (a === absent || b === absent ? a === b : sameJson(a, b));
