import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { Database, SqlJsStatic } from 'sql.js';
import { hasCode } from '../disk/files.ts';

/** By the path that was asked for. */
const loading = new Map<string | null, Promise<SqlJsStatic>>();

/**
 * Loads SQLite, which is WebAssembly: 0.7 MB and some milliseconds that only lists need. sql.js instantiates it once in a process, so its
 * file is read once as well. After a failure the next call tries again.
 * @param wasmPath of `sql-wasm.wasm`; default: beside this file (as in a bundle), else in node_modules.
 */
export async function loadSqlJs(wasmPath: string | null): Promise<SqlJsStatic> {
  const known = loading.get(wasmPath) ?? load(wasmPath);
  loading.set(wasmPath, known);
  try {
    return await known;
  } catch (error) {
    loading.delete(wasmPath);
    throw error;
  }
}

async function load(wasmPath: string | null): Promise<SqlJsStatic> {
  const wasm = wasmPath === null ? await findWasm() : await readFile(wasmPath);
  const { default: initialise } = await import('sql.js');
  // A copy, since small files are read into a buffer that others share. The types come from Emscripten, which wants an ArrayBuffer.
  return initialise({ wasmBinary: new Uint8Array(wasm).buffer });
}

async function findWasm(): Promise<Uint8Array> {
  try {
    return await readFile(fileURLToPath(new URL('sql-wasm.wasm', import.meta.url)));
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
    return readFile(createRequire(import.meta.url).resolve('sql.js/dist/sql-wasm.wasm'));
  }
}

/** All changes of `work`, or none. */
export function inTransaction(database: Database, work: () => void): void {
  database.exec('BEGIN');
  try {
    work();
    database.exec('COMMIT');
  } catch (error) {
    database.exec('ROLLBACK');
    throw error;
  }
}
