/** The resources that every server has, by what is in them. */
export const uris = {
  windows: 'cwm://windows',
  sessions: 'cwm://sessions',
  stats: 'cwm://stats',
  health: 'health://status',
} as const;

export const uriOfWindow = (name: string): string => `${uris.windows}/${name}`;
export const uriOfSession = (id: string): string => `${uris.sessions}/${id}`;
