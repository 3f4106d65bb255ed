import type { ServerResponse } from 'node:http';

/** For a person with a browser, who has no token: what this is, and nothing of what it has. */
export function answerPage(res: ServerResponse): void {
  res.writeHead(200, {
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'",
    'x-content-type-options': 'nosniff',
  });
  res.end(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Context Window Manager</title>
<style>body { font: 16px/1.5 system-ui, sans-serif; max-width: 40em; margin: 3em auto; padding: 0 1em } code { background: #8882; padding: 0 .2em }</style>
<h1>Context Window Manager</h1>
<p>This is the gateway to your own model server. It has no page to use: programs talk to it.</p>
<p>A client's base URL is this address with <code>/v1</code>, or <code>/p/PROJECT/v1</code> for a project; its API key is a token of the gateway.
<code>cwm connect</code> sets a client up, and <code>cwm clients</code> shows those that there are.</p>
</html>
`);
}
