/** The twelve tools that every client of this kind has (S0-01), for a client that loads the tools themselves with the first call. */
export const mainToolNames = [
  'window_freeze',
  'window_thaw',
  'window_list',
  'window_status',
  'window_clone',
  'window_delete',
  'session_list',
  'cache_stats',
  'health_check',
  'get_metrics_data',
  'auto_freeze_config',
  'auto_freeze_check',
] as const;
export type MainToolName = (typeof mainToolNames)[number];
