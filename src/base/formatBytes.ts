const short = new Intl.NumberFormat('en-US', { maximumFractionDigits: 1 });

/** Bytes for people, in powers of 1024: `1.5 GiB`. */
export function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  const units = ['KiB', 'MiB', 'GiB', 'TiB'];
  const power = Math.min(Math.floor(Math.log2(bytes) / 10), units.length);
  return `${short.format(bytes / 1024 ** power)} ${units[power - 1]}`;
}
