import type { LineageId, MessageId, ProjectUri, SessionId, WindowName } from '../../src/protocol/ids.ts';

// Ids that a test writes down itself. Nothing checks them: some tests need one that no user could choose.
export const sessionId = (id: string): SessionId => id as SessionId;
export const windowName = (name: string): WindowName => name as WindowName;
export const messageId = (id: string): MessageId => id as MessageId;
export const lineageId = (id: string): LineageId => id as LineageId;
export const projectUri = (uri: string): ProjectUri => uri as ProjectUri;
