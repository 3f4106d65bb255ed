/** The type of a field; `?` when it may be missing. */
export type FieldKind = 'string' | 'number' | 'boolean' | 'strings' | 'string?' | 'number?' | 'boolean?' | 'strings?';
export type Fields = Readonly<Record<string, FieldKind>>;

interface KindTypes {
  string: string;
  number: number;
  boolean: boolean;
  strings: string[];
}
type ValueOf<Kind extends FieldKind> = Kind extends `${infer Base extends keyof KindTypes}?`
  ? KindTypes[Base] | undefined
  : Kind extends keyof KindTypes
    ? KindTypes[Kind]
    : never;
type OptionalIn<Table extends Fields> = {
  [Name in keyof Table]: Table[Name] extends `${string}?` ? Name : never;
}[keyof Table];

/** The object that a table of fields describes. */
export type FieldsOf<Table extends Fields> = {
  [Name in Exclude<keyof Table, OptionalIn<Table>>]: ValueOf<Table[Name]>;
} & { [Name in OptionalIn<Table>]?: ValueOf<Table[Name]> };

/**
 * These fields of an object, without its others; null when one is missing or has another type. For small flat objects in the editor's
 * process, which is to load without a schema library.
 */
export function readFields<const Table extends Fields>(value: unknown, table: Table): FieldsOf<Table> | null {
  if (typeof value !== 'object' || value === null) return null;
  const given = value as Readonly<Record<string, unknown>>;
  const read: Record<string, unknown> = {};
  for (const [name, kind] of Object.entries(table)) {
    const field = given[name];
    if (field === undefined ? !kind.endsWith('?') : !isOfKind(field, kind)) return null;
    if (field !== undefined) read[name] = field;
  }
  return read as FieldsOf<Table>;
}

function isOfKind(value: unknown, kind: FieldKind): boolean {
  const base = kind.replace('?', '');
  if (base === 'strings') return Array.isArray(value) && value.every((one) => typeof one === 'string');
  return typeof value === base && !Number.isNaN(value);
}
