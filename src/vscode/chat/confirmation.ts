import { mainTools } from '../../agent/mainTools.ts';
import type { MainToolName } from '../../agent/toolNames.ts';

export interface Confirmation {
  readonly title: string;
  readonly message: string;
}

/** What a person is asked before an agent's call deletes something, takes the model server's time or changes what happens by itself; null: nothing. */
export function confirmation(name: MainToolName, input: object): Confirmation | null {
  const message = messageOf(name, input);
  return message === null ? null : { title: mainTools[name].title, message };
}

function messageOf(name: MainToolName, input: object): string | null {
  const given = (field: string): string => {
    const value: unknown = Reflect.get(input, field);
    return typeof value === 'string' ? JSON.stringify(value) : '?';
  };
  switch (name) {
    case 'window_delete':
      return (
        `Delete the window ${given('window_name')}? Its records go to the trash. ` +
        'Its KV cache would have to be computed again.'
      );
    case 'window_freeze':
      if (Reflect.get(input, 'checkpoint') === true) {
        return `Save the session ${given('session_id')} as the window ${given('window_name')}? It stays open.`;
      }
      return `Freeze the session ${given('session_id')} as the window ${given('window_name')}? It takes no messages until it is thawed.`;
    case 'window_thaw':
      return `Thaw the window ${given('window_name')}? The model server loads its KV cache, which can take a while.`;
    case 'auto_freeze_config':
      return Object.keys(input).length === 0 ? null : `Change when sessions are saved: ${JSON.stringify(input)}?`;
    case 'window_clone':
    case 'window_list':
    case 'window_status':
    case 'session_list':
    case 'cache_stats':
    case 'health_check':
    case 'get_metrics_data':
    case 'auto_freeze_check':
      return null;
  }
}
