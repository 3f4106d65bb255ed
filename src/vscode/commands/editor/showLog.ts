import { command } from '../command.ts';

export const showLog = command('cwm.showLog', {
  ask: async () => ({}),
  async perform(app) {
    app.log.show();
    return undefined;
  },
});
