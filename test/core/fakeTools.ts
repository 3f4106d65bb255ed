import type { Tool, ToolAnswer, ToolBox } from '../../src/core/ports/tools.ts';
import type { JsonObject } from '../../src/protocol/schemas/tracker.ts';

const tool = (name: string, more: Partial<Tool> = {}): Tool => ({
  name,
  description: `The tool ${name}.`,
  inputSchema: { type: 'object' },
  readsOnly: true,
  isDestructive: false,
  ...more,
});

/** Tools that do what a test says. */
export class FakeTools implements ToolBox {
  tools: readonly Tool[] = [
    tool('book_room', { readsOnly: false }),
    tool('delete_file', { readsOnly: false }),
    tool('look_up'),
    tool('read_file'),
  ];
  readonly called: { readonly name: string; readonly given: JsonObject }[] = [];
  /** What the tools do. */
  act: (name: string, given: JsonObject, signal: AbortSignal) => Promise<ToolAnswer> = async (name) => ({
    text: `${name} is done`,
    hasFailed: false,
  });

  list(): ReturnType<ToolBox['list']> {
    return Promise.resolve({ tools: this.tools, notes: [] });
  }

  call(_project: unknown, name: string, given: JsonObject, signal: AbortSignal): Promise<ToolAnswer> {
    this.called.push({ name, given });
    return this.act(name, given, signal);
  }
}
