import {
  ConnectionError,
  ConnectionErrorReason,
  createLocalAudioTrack,
  DisconnectReason,
  type LocalAudioTrack,
  type LocalTrack,
  ParticipantKind,
  type RemoteParticipant,
  Room,
  RoomEvent,
  type TextStreamHandler,
  Track,
} from "livekit-client";
import {
  AGENT_LEFT,
  LOST,
  microphoneProblem,
  NO_AGENT,
  NO_MEDIA,
  NO_SIGNAL,
  RELOADED,
  SILENCED,
} from "./problems";
import * as sessions from "./sessions";
import {
  type CallLine,
  type CallStore,
  isOpen,
  type Marks,
  type Mode,
  NO_CALL,
  type Problem,
} from "./store";

const AGENT_MS = 12_000;
const LINES = 500;
const TRANSCRIPTION = "lk.transcription"; // docs.livekit.io: text and transcriptions
const CHAT = "lk.chat";
const STATE = "lk.agent.state";
const MICROPHONE = { source: Track.Source.Microphone, name: "microphone" };
const KEPT = "switchboard.call"; // in sessionStorage: id, agent and mode; never a token
const CHANNEL = "switchboard.calls";

interface Kept {
  readonly sessionId: string;
  readonly mode: Mode;
}

/** Makes, holds and ends the one call of this tab. Only its methods change the store. */
export class Call {
  readonly room: Room;
  readonly #store: CallStore;
  readonly #others = new BroadcastChannel(CHANNEL);
  #clickedAt = 0;
  #waiting: ReturnType<typeof setTimeout> | undefined;
  /** Counts beginnings: what belongs to one that was given up must not go on. */
  #turn = 0;

  constructor(store: CallStore) {
    this.#store = store;
    store.control = this;
    this.room = new Room({ disconnectOnPageLeave: true, adaptiveStream: false, dynacast: false });
    this.#listen();
    this.#others.onmessage = ({ data }) => this.#heard(data);
    const kept = this.#kept();
    if (kept !== null) {
      const session = { id: kept.sessionId, roomName: "", agent: "", expiresAt: null };
      store.set({ phase: "failed", mode: kept.mode, session, problem: RELOADED });
    }
  }

  /** One click: the microphone first, so that a refusal creates nothing; then session and room. */
  async start(wanted: sessions.Wanted): Promise<void> {
    if (isOpen(this.#store.view)) return;
    this.#clickedAt = performance.now();
    this.#forget();
    const turn = this.#begin(wanted.mode, "asking");
    const microphone = wanted.mode === "voice" ? await this.#microphone() : null;
    if (wanted.mode === "voice" && microphone === null) return;
    if (turn !== this.#turn) {
      microphone?.stop();
      return;
    }
    this.#store.set({ phase: "creating" });
    const made = await sessions.create(wanted);
    if ("problem" in made) {
      microphone?.stop();
      if (turn === this.#turn) this.#fail(made.problem);
      return;
    }
    await this.#join(turn, made.ok, microphone);
  }

  /** Into the same session again, with a fresh token. */
  async back(): Promise<void> {
    const { session, mode, lines } = this.#store.view;
    if (session === null || isOpen(this.#store.view)) return;
    this.#clickedAt = performance.now();
    const turn = this.#begin(mode, "asking");
    this.#store.set({ session, lines });
    const microphone = mode === "voice" ? await this.#microphone() : null;
    if (mode === "voice" && microphone === null) return;
    this.#store.set({ phase: "joining" });
    const made = await sessions.again(session.id);
    if ("problem" in made) {
      microphone?.stop();
      this.#forget();
      this.#fail({ ...made.problem, ways: ["again"] });
      return;
    }
    await this.#join(turn, made.ok, microphone);
  }

  async mute(muted: boolean): Promise<void> {
    if (this.#store.view.mode !== "voice") return;
    await this.room.localParticipant.setMicrophoneEnabled(!muted);
    this.#store.set({ muted });
  }

  async write(text: string): Promise<void> {
    await this.room.localParticipant.sendText(text, { topic: CHAT });
    this.#line({ id: `me:${Date.now()}`, who: "me", text, interim: false, at: Date.now() });
  }

  /** Let the browser play sound; call it from a click. */
  async sound(): Promise<void> {
    await this.room.startAudio();
  }

  /** Leave, and end the session's room for everybody. */
  async end(): Promise<void> {
    const { session } = this.#store.view;
    this.#turn += 1;
    this.#store.set({ phase: "ending" });
    this.#forget();
    await this.room.disconnect(true);
    if (session !== null) await sessions.end(session.id);
    this.#over(null);
  }

  /** Back to the beginning, after an end. */
  reset(): void {
    if (!isOpen(this.#store.view)) this.#store.set({ ...NO_CALL, mode: this.#store.view.mode });
  }

  // -- inside

  #begin(mode: Mode, phase: "asking"): number {
    this.#turn += 1;
    const { elsewhere } = this.#store.view;
    this.#store.set({ ...NO_CALL, mode, phase, elsewhere });
    return this.#turn;
  }

  async #microphone(): Promise<LocalAudioTrack | null> {
    try {
      return await createLocalAudioTrack({ echoCancellation: true, noiseSuppression: true });
    } catch (error) {
      this.#fail(microphoneProblem(error));
      return null;
    }
  }

  async #join(turn: number, ticket: sessions.Ticket, mic: LocalAudioTrack | null): Promise<void> {
    this.#store.set({ phase: "joining", session: ticket.session });
    try {
      await this.room.connect(ticket.url, ticket.token, { autoSubscribe: true });
      if (turn !== this.#turn) return;
      if (mic !== null)
        await this.room.localParticipant.publishTrack(mic as LocalTrack, MICROPHONE);
    } catch (error) {
      mic?.stop();
      await this.room.disconnect(true);
      await sessions.end(ticket.session.id);
      if (turn === this.#turn) this.#fail(joinProblem(error));
      return;
    }
    this.#keep({ sessionId: ticket.session.id, mode: this.#store.view.mode });
    this.#others.postMessage("here");
    this.#mark("joined");
    this.#store.set({ phase: "waiting", joinedAt: Date.now() });
    this.#waiting = setTimeout(() => {
      if (this.#store.view.phase === "waiting") this.#store.set({ problem: NO_AGENT });
    }, AGENT_MS);
    for (const participant of this.room.remoteParticipants.values()) this.#agent(participant);
    this.#played();
  }

  #listen(): void {
    this.room
      .on(RoomEvent.ParticipantConnected, (participant) => this.#agent(participant))
      .on(RoomEvent.ParticipantAttributesChanged, (_, participant) => {
        if (participant !== this.room.localParticipant) {
          this.#agent(participant as RemoteParticipant);
        }
      })
      .on(RoomEvent.ParticipantDisconnected, (participant) => {
        if (participant.kind !== ParticipantKind.AGENT || this.#agents().length > 0) return;
        this.#store.set({ agentState: "", problem: AGENT_LEFT });
      })
      .on(RoomEvent.TrackSubscribed, (track, _, participant) => {
        if (track.kind === Track.Kind.Audio && participant.kind === ParticipantKind.AGENT) {
          this.#agent(participant);
        }
      })
      .on(RoomEvent.ActiveSpeakersChanged, (speakers) => {
        if (speakers.some((one) => one.kind === ParticipantKind.AGENT)) this.#mark("firstSound");
      })
      .on(RoomEvent.AudioPlaybackStatusChanged, () => this.#played())
      .on(RoomEvent.Reconnecting, () => this.#store.set({ phase: "reconnecting" }))
      .on(RoomEvent.SignalReconnecting, () => this.#store.set({ phase: "reconnecting" }))
      .on(RoomEvent.Reconnected, () => this.#store.set({ phase: this.#together() }))
      .on(RoomEvent.Disconnected, (reason) => this.#disconnected(reason));
    this.room.registerTextStreamHandler(TRANSCRIPTION, this.#transcription);
  }

  #transcription: TextStreamHandler = async (reader, from) => {
    const attributes = reader.info.attributes ?? {};
    const id = attributes["lk.segment_id"] ?? reader.info.id;
    const mine = from.identity === this.room.localParticipant.identity;
    const done = attributes["lk.transcription_final"] === "true";
    const at = Date.now();
    let text = "";
    const show = (interim: boolean) =>
      this.#line({ id: `${from.identity}:${id}`, who: mine ? "me" : "agent", text, interim, at });
    try {
      for await (const piece of reader) {
        text += piece;
        show(true);
      }
    } catch {
      // the agent left in the middle of it: what came stays
    }
    show(mine && !done);
  };

  #line(line: CallLine): void {
    if (line.text === "") return;
    const lines = this.#store.view.lines;
    const known = lines.find((other) => other.id === line.id);
    const kept = known
      ? lines.map((other) => (other === known ? { ...line, at: known.at } : other))
      : [...lines, line];
    this.#store.set({ lines: kept.slice(-LINES) });
  }

  #agent(participant: RemoteParticipant): void {
    if (participant.kind !== ParticipantKind.AGENT) return;
    const agentState = participant.attributes[STATE] ?? "";
    if (agentState === "listening") this.#mark("listening");
    const { phase, problem } = this.#store.view;
    const there = agentState !== "" && agentState !== "initializing";
    this.#store.set({
      agentState,
      phase: phase === "waiting" && there ? "talking" : phase,
      problem: there && (problem === NO_AGENT || problem === AGENT_LEFT) ? null : problem,
    });
  }

  #agents(): RemoteParticipant[] {
    const others = [...this.room.remoteParticipants.values()];
    return others.filter((other) => other.kind === ParticipantKind.AGENT);
  }

  #together(): "talking" | "waiting" {
    return this.#agents().length > 0 ? "talking" : "waiting";
  }

  #played(): void {
    const { problem } = this.#store.view;
    if (!this.room.canPlaybackAudio) this.#store.set({ problem: problem ?? SILENCED });
    else if (problem === SILENCED) this.#store.set({ problem: null });
  }

  #disconnected(reason: DisconnectReason | undefined): void {
    clearTimeout(this.#waiting);
    const { phase } = this.#store.view;
    if (phase === "ending" || phase === "joining" || !isOpen(this.#store.view)) return;
    switch (reason) {
      case DisconnectReason.ROOM_DELETED:
      case DisconnectReason.ROOM_CLOSED:
        this.#over(null);
        return;
      case DisconnectReason.PARTICIPANT_REMOVED:
        this.#over({
          title: "You were removed from the room",
          text: "An operator removed you, or the session ended.",
          ways: ["again"],
        });
        return;
      case DisconnectReason.DUPLICATE_IDENTITY:
        this.#over({
          title: "You joined from another place",
          text: "An identity can be in the room only once.",
          ways: ["again"],
        });
        return;
      default:
        this.#turn += 1;
        this.#fail(LOST);
    }
  }

  #over(problem: Problem | null): void {
    this.#turn += 1;
    this.#forget();
    this.#store.set({ phase: "ended", endedAt: Date.now(), problem, agentState: "" });
  }

  #fail(problem: Problem): void {
    this.#store.set({ phase: "failed", endedAt: Date.now(), problem, agentState: "" });
  }

  #mark(name: keyof Marks): void {
    const { marks } = this.#store.view;
    if (marks[name] !== null) return;
    const took = performance.now() - this.#clickedAt;
    this.#store.set({ marks: { ...marks, [name]: Math.round(took) } });
  }

  #heard(word: unknown): void {
    const open = isOpen(this.#store.view);
    if (word === "here") {
      if (open) this.#others.postMessage("here too");
      this.#store.set({ elsewhere: true });
    } else if (word === "here too") this.#store.set({ elsewhere: true });
    else if (word === "gone") this.#store.set({ elsewhere: false });
  }

  #keep(kept: Kept): void {
    sessionStorage.setItem(KEPT, JSON.stringify(kept));
  }

  #forget(): void {
    clearTimeout(this.#waiting);
    sessionStorage.removeItem(KEPT);
    this.#others.postMessage("gone");
  }

  #kept(): Kept | null {
    try {
      const kept: unknown = JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
      if (typeof kept !== "object" || kept === null || !("sessionId" in kept)) return null;
      const mode = "mode" in kept && kept.mode === "text" ? "text" : "voice";
      return { sessionId: String(kept.sessionId), mode };
    } catch {
      return null;
    }
  }
}

/** Signalling that is refused or not reached, or media that does not come through. */
export function joinProblem(error: unknown): Problem {
  if (!(error instanceof ConnectionError)) return NO_MEDIA;
  switch (error.reason) {
    case ConnectionErrorReason.NotAllowed:
      return {
        title: "LiveKit rejected the token",
        text: "It may have expired, or the clocks of the two machines differ. Try again.",
        ways: ["again"],
      };
    case ConnectionErrorReason.ServerUnreachable:
    case ConnectionErrorReason.WebSocket:
    case ConnectionErrorReason.ServiceNotFound:
      return NO_SIGNAL;
    default:
      return NO_MEDIA;
  }
}
