/** The tag that names a client, on its sessions; none where its name has nothing that a tag can have. */
export function clientTags(client: string): readonly string[] {
  const name = client.replaceAll(/[^A-Za-z0-9_-]+/g, '-').slice(0, 32);
  return /^[A-Za-z0-9]/.test(name) ? [name] : [];
}
