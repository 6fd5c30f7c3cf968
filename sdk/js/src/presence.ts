import { ChannelCore } from "./channel.js";
import { Emitter, once } from "./emitter.js";
import { decode, field } from "./wire.js";
import type { Member, MemberChange } from "./types.js";

/** A channel that knows its members. */
export class PresenceCore extends ChannelCore {
  members: readonly Member[] = [];
  me: Member | undefined;
  private _myId: string | undefined;
  private _changes = new Emitter<[MemberChange]>();

  onMembers(listener: (change: MemberChange) => void): () => void {
    const off = this._changes.add(listener);
    const release = this.subscribe();
    return once(() => {
      off();
      release();
    });
  }

  protected override _accept(channelData: string | undefined): void {
    const id = channelData === undefined ? this._client.user.id : field(decode(channelData), "user_id");
    this._myId = id === undefined ? undefined : String(id);
  }

  protected override _snapshot(data: unknown): void {
    const hash = field(field(data, "presence"), "hash");
    const members = Object.entries((hash ?? {}) as Record<string, unknown>).map(([id, info]) => ({ id, info }));
    const before = this.members;
    const first = this.state === "subscribing" && before.length === 0;
    if (!first) {
      // After a reconnect: what happened meanwhile, one by one.
      for (const member of before) if (!members.some((m) => m.id === member.id)) this._leaves(member.id);
      for (const member of members) if (!this.members.some((m) => m.id === member.id)) this._joins(member);
    }
    this._update(members);
    this._changes.emit({ type: "sync", members });
  }

  protected override _internal(event: string, data: unknown): void {
    const id = String(field(data, "user_id"));
    if (event === "pusher_internal:member_added") this._joins({ id, info: field(data, "user_info") ?? null });
    else if (event === "pusher_internal:member_removed") this._leaves(id);
  }

  protected override _clear(): void {
    this.members = [];
    this.me = undefined;
  }

  private _update(members: readonly Member[]): void {
    this.members = members;
    this.me = members.find((m) => m.id === (this._myId ?? this._client.user.id));
  }

  private _joins(member: Member): void {
    this._update([...this.members.filter((m) => m.id !== member.id), member]);
    this._changes.emit({ type: "join", member, members: this.members });
  }

  private _leaves(id: string): void {
    const member = this.members.find((m) => m.id === id);
    if (!member) return;
    this._update(this.members.filter((m) => m.id !== id));
    this._changes.emit({ type: "leave", member, members: this.members });
  }
}
