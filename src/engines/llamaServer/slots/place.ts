import type { Link } from '../../http/link.ts';
import type { ServerIdentity } from '../serverIdentity.ts';

/** A server that may be used, and the slot to use there. */
export interface Place {
  readonly link: Link;
  readonly server: ServerIdentity;
  readonly slot: number;
}
