/**
 * The path that a model server reads in what a client wrote. The two differ: `/v1/models/..\..\slots` is `/slots` for a parser of URLs.
 *
 * @param written from `/v1` on, with its query.
 * @returns null for what a server may read as another path than the gateway does.
 */
export function plainPath(written: string): { readonly path: string; readonly query: string } | null {
  const url = URL.parse(written, 'http://gateway');
  if (!url || url.host !== 'gateway' || url.username !== '') return null;
  const said = decoded(url.pathname);
  const isStrange = said === null || /[\\\p{Cc}]|(^|\/)\.{1,2}(\/|$)/u.test(said) || decoded(said) !== said;
  return isStrange ? null : { path: url.pathname, query: url.search };
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}
