import { describe, expect, it } from 'vitest';
import { inTransaction, loadSqlJs } from '../../src/store/index/sqlJs.ts';

describe('SQLite', () => {
  it('that cannot be loaded from a path can be loaded from another one afterwards', async () => {
    await expect(loadSqlJs('/nowhere/sql-wasm.wasm')).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(loadSqlJs('/nowhere/sql-wasm.wasm')).rejects.toMatchObject({ code: 'ENOENT' });
    expect(await loadSqlJs(null)).toHaveProperty('Database');
  });

  it('makes all changes of a transaction, or none', async () => {
    const database = new (await loadSqlJs(null)).Database();
    try {
      database.exec('CREATE TABLE numbers (n)');
      inTransaction(database, () => database.exec('INSERT INTO numbers VALUES (1)'));
      const failing = (): void =>
        inTransaction(database, () => {
          database.exec('INSERT INTO numbers VALUES (2)');
          throw new Error('in the middle');
        });
      expect(failing).toThrow('in the middle');
      expect(database.exec('SELECT n FROM numbers')[0]?.values).toEqual([[1]]);
    } finally {
      database.close();
    }
  });
});
