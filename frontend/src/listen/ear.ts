import {
  DisconnectReason,
  ParticipantKind,
  type RemoteParticipant,
  Room,
  RoomEvent,
} from "livekit-client";
import { joinProblem } from "../talk/call";
import { microphoneProblem } from "../talk/problems";
import type { Problem } from "../talk/store";

/** What joins a room: unseen, or as a person. */
export interface Ticket {
  readonly url: string;
  readonly token: string;
  /** Whoever joins is seen and speaks. */
  readonly person: boolean;
  /** Another one is another wish to listen. */
  readonly name: string;
}

export interface Heard {
  readonly identity: string;
  readonly agent: boolean;
  readonly speaking: boolean;
}

export interface EarView {
  readonly phase: "off" | "joining" | "on";
  /** In the room as somebody whom all see and hear. */
  readonly person: boolean;
  /** What the others say is not played. */
  readonly muted: boolean;
  /** The own microphone gives silence; of interest to a person alone. */
  readonly silent: boolean;
  readonly heard: readonly Heard[];
  /** Why it stopped; "" while it has not. */
  readonly said: string;
  readonly problem: Problem | null;
}

const OFF: EarView = {
  phase: "off",
  person: false,
  muted: true,
  silent: false,
  heard: [],
  said: "",
  problem: null,
};
const ALONE_MS = 2_000;

/** Hears a room without being heard or seen, and leaves when no person is left in it; or joins it. */
export class Ear {
  readonly room = new Room({ disconnectOnPageLeave: true });
  #view: EarView = OFF;
  #listeners = new Set<() => void>();
  #ticket = "";
  #alone: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    const look = (): void => this.#look();
    this.room
      .on(RoomEvent.ParticipantConnected, look)
      .on(RoomEvent.ParticipantDisconnected, look)
      .on(RoomEvent.ActiveSpeakersChanged, look)
      .on(RoomEvent.TrackSubscribed, look)
      .on(RoomEvent.Disconnected, (reason) => this.#ended(reason));
  }

  read = (): EarView => this.#view;

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  async take(ticket: Ticket): Promise<void> {
    if (ticket.name === this.#ticket) return;
    this.#ticket = ticket.name;
    const { person } = ticket;
    if (this.#view.phase === "on") await this.stop();
    this.#set({ ...OFF, phase: "joining", person });
    try {
      await this.room.connect(ticket.url, ticket.token);
    } catch (error) {
      this.#set({ ...OFF, problem: { ...joinProblem(error), ways: [] } });
      return;
    }
    if (person && !(await this.#speak())) return;
    this.#set({ phase: "on" });
    this.mute(!person);
    this.#look();
  }

  /** The own microphone; for a person alone. */
  async silence(silent: boolean): Promise<void> {
    await this.room.localParticipant.setMicrophoneEnabled(!silent);
    this.#set({ silent });
  }

  /** Heard by nobody but this tab: it changes what is played, not what others get. */
  mute(muted: boolean): void {
    for (const participant of this.room.remoteParticipants.values())
      participant.setVolume(muted ? 0 : 1);
    if (!muted) void this.room.startAudio();
    this.#set({ muted });
  }

  async stop(said = ""): Promise<void> {
    clearTimeout(this.#alone);
    const { phase } = this.#view;
    this.#set({ ...OFF, said });
    if (phase !== "off") await this.room.disconnect(true);
  }

  /** False: the microphone was refused, so the room is left. */
  async #speak(): Promise<boolean> {
    try {
      await this.silence(false);
      return true;
    } catch (error) {
      await this.room.disconnect(true);
      this.#set({ ...OFF, problem: { ...microphoneProblem(error), ways: [] } });
      return false;
    }
  }

  #look(): void {
    if (this.#view.phase !== "on") return;
    const others = [...this.room.remoteParticipants.values()];
    for (const other of others) other.setVolume(this.#view.muted ? 0 : 1);
    this.#set({
      heard: others.map((other) => ({
        identity: other.identity,
        agent: other.kind === ParticipantKind.AGENT,
        speaking: other.isSpeaking,
      })),
    });
    clearTimeout(this.#alone);
    if (!this.#view.person && !others.some(isPerson)) {
      this.#alone = setTimeout(() => {
        const left = [...this.room.remoteParticipants.values()];
        if (!left.some(isPerson)) void this.stop("The room is empty. You were disconnected.");
      }, ALONE_MS);
    }
  }

  #ended(reason: DisconnectReason | undefined): void {
    clearTimeout(this.#alone);
    if (this.#view.phase !== "on") return;
    const over =
      reason === DisconnectReason.ROOM_DELETED || reason === DisconnectReason.ROOM_CLOSED;
    this.#set({ ...OFF, said: over ? "The room has ended." : "The connection was lost." });
  }

  #set(change: Partial<EarView>): void {
    this.#view = { ...this.#view, ...change };
    for (const listener of this.#listeners) listener();
  }
}

function isPerson(participant: RemoteParticipant): boolean {
  return participant.kind === ParticipantKind.STANDARD || participant.kind === ParticipantKind.SIP;
}
