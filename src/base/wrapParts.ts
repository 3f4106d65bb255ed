type Method = (...given: readonly unknown[]) => unknown;

/** Rows for methods of the parts of an object: `rows.part.method`. */
type PartRows<Parts, Row> = {
  readonly [Part in keyof Parts]?: { readonly [Name in keyof Parts[Part]]?: Row };
};

/**
 * `parts`, with every method that has a row replaced by the result of `wrap` for the row and the method. The others stay as they are.
 *
 * @param wrap is called at each call, with the method that its part has then.
 */
export function wrapParts<Parts extends object, Row>(
  parts: Parts,
  rows: PartRows<Parts, Row>,
  wrap: (row: Row, method: Method) => Method,
): Parts {
  const names = Object.keys(rows) as (keyof Parts)[];
  const wrapped = names.map((name) => [name, wrapMethods(parts[name] as object, rows[name] ?? {}, wrap)]);
  return { ...parts, ...Object.fromEntries(wrapped) };
}

function wrapMethods<Row>(
  part: object,
  rows: { readonly [name: string]: Row | undefined },
  wrap: (row: Row, method: Method) => Method,
): object {
  return new Proxy(part, {
    get(target, name) {
      const own: unknown = Reflect.get(target, name);
      if (typeof own !== 'function') return own;
      const method = own.bind(target) as Method;
      const row = typeof name === 'string' ? rows[name] : undefined;
      return row === undefined ? method : wrap(row, method);
    },
  });
}
