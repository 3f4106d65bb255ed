interface Asked {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/**
 * A request on a connection of its own. Servers close an idle connection after some seconds, also while the next request is on its way;
 * the product asks again then, and a request of a test by itself must not fail for it.
 */
export const fetchAlone = (url: string, asked: Asked = {}): Promise<Response> =>
  fetch(url, { ...asked, headers: { ...asked.headers, connection: 'close' } });
