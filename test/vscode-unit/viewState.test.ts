import { describe, expect, test } from 'vitest';
import { ViewState } from '../../src/vscode/state.ts';

const failing = (error: unknown): never => {
  throw error;
};

describe('the state that the views show', () => {
  test('V3 a view that comes after one that changes the state again ends with the newest state, and draws it once', () => {
    const state = new ViewState(failing);
    state.render(['filter'], ({ filter }) => {
      if (filter === 'first') state.update({ filter: 'second' });
    });
    const drawn: string[] = [];
    state.render(['filter'], ({ filter }) => drawn.push(filter));
    state.update({ filter: 'first' });
    expect(drawn).toEqual(['', 'second']);
  });
});
