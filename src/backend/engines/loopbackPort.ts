/** The port of a base URL on loopback, as `OPENAI_BASE_URL` has it; null for any other machine, and for what is no http URL. */
export function loopbackPort(baseUrl: string | undefined): number | null {
  if (baseUrl === undefined || !URL.canParse(baseUrl)) return null;
  const { protocol, hostname, port } = new URL(baseUrl);
  const isLoopback = hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname);
  return protocol === 'http:' && isLoopback ? Number(port || 80) : null;
}
