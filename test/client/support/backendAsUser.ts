// Becomes the user in argv, asks a backend of the storage directory what it has, tries a change, ends the backend, and prints what came of it.
const [storage = '', user = '', entry = ''] = process.argv.slice(2);
process.setgroups?.([]);
process.setgid?.(Number(user));
process.setuid?.(Number(user));
const { toCwmError } = await import('../../../src/protocol/errors.ts');
const { backendClient } = await import('../../../src/client/connectBackend.ts');
const client = backendClient({ storage, start: { nodePath: process.execPath, entry }, deadlineMs: 40_000 });
try {
  const { items } = await client.call('listSessions', {});
  const refusal = await client.call('createSession', {}).then(
    () => null,
    (error: unknown) => toCwmError(error).report(),
  );
  const { status } = await client.call('health', {});
  console.log(JSON.stringify({ sessions: items.map(({ id }) => id), refusal, status }));
} finally {
  await client.call('shutdown', {}).catch(() => undefined);
  client.dispose();
}
