import { type LocalTrackPublication, Room, RoomEvent, Track } from "livekit-client";
import { joinProblem } from "../talk/call";
import { NO_MEDIA, NO_SIGNAL } from "../talk/problems";

/** What this browser is and can; `services/audio/browser_check.py` judges it. Times in ms. */
export interface Found {
  readonly secure: boolean;
  readonly webrtc: boolean;
  readonly devices: boolean;
  readonly permission: "granted" | "denied" | "prompt" | "unknown";
  readonly inputs: number;
  readonly outputs: number;
  readonly failure: "" | "refused" | "signal" | "media";
  readonly signalMs: number | null;
  readonly way: "udp" | "tcp" | "relay" | "unknown" | "none";
  readonly rttMs: number | null;
}

export interface Ticket {
  readonly url: string;
  readonly token: string;
  /** Another one is another wish to check. */
  readonly name: string;
}

type Network = Pick<Found, "failure" | "signalMs" | "way" | "rttMs">;

const STATS_MS = 3_000;
const STATS_EVERY_MS = 200;

/** Everything, in about a second; leaves the room and holds no device afterwards. */
export async function probe(ticket: Ticket): Promise<Found> {
  const here = await browser();
  const network: Network = here.webrtc
    ? await reach(ticket)
    : { failure: "media", signalMs: null, way: "none", rttMs: null };
  return { ...here, ...network };
}

async function browser(): Promise<Omit<Found, keyof Network>> {
  const media = navigator.mediaDevices as MediaDevices | undefined;
  const all = await devices(media);
  const count = (kind: MediaDeviceKind): number =>
    Math.min(100, all.filter((one) => one.kind === kind).length);
  return {
    secure: globalThis.isSecureContext,
    webrtc: typeof globalThis.RTCPeerConnection === "function",
    devices: typeof media?.getUserMedia === "function",
    permission: await permission(),
    inputs: count("audioinput"),
    outputs: count("audiooutput"),
  };
}

async function devices(media: MediaDevices | undefined): Promise<MediaDeviceInfo[]> {
  try {
    return (await media?.enumerateDevices()) ?? [];
  } catch {
    return []; // a policy of the page's server forbids it: then it gives no microphone, either
  }
}

async function permission(): Promise<Found["permission"]> {
  try {
    const answer = await navigator.permissions.query({ name: "microphone" as PermissionName });
    return answer.state;
  } catch {
    return "unknown"; // Firefox does not know this name
  }
}

/** Joins, sends silence of its own making (so that no microphone is needed), and looks how it went. */
async function reach(ticket: Ticket): Promise<Network> {
  const room = new Room({ disconnectOnPageLeave: true });
  const begun = performance.now();
  let signalMs: number | null = null;
  try {
    await room.connect(ticket.url, ticket.token);
    signalMs = performance.now() - begun;
    const audio = new AudioContext();
    const [silence] = audio.createMediaStreamDestination().stream.getAudioTracks();
    if (silence === undefined) return { failure: "", signalMs, way: "unknown", rttMs: null };
    room.once(RoomEvent.Disconnected, () => void audio.close());
    const sent = await room.localParticipant.publishTrack(silence, {
      source: Track.Source.Microphone,
    });
    return { failure: "", signalMs, ...(await chosenWay(sent)) };
  } catch (error) {
    const problem = joinProblem(error);
    const failure =
      problem === NO_SIGNAL ? "signal" : problem === NO_MEDIA ? "media" : ("refused" as const);
    return { failure, signalMs, way: "none", rttMs: null };
  } finally {
    await room.disconnect(true);
  }
}

async function chosenWay(sent: LocalTrackPublication): Promise<Pick<Found, "way" | "rttMs">> {
  const end = performance.now() + STATS_MS;
  while (performance.now() < end) {
    const report = await sent.track?.getRTCStatsReport();
    const found = report === undefined ? null : chosenIn(report);
    if (found !== null) return found;
    await new Promise((resolve) => setTimeout(resolve, STATS_EVERY_MS));
  }
  return { way: "unknown", rttMs: null };
}

/** The pair of candidates that carries the sound; null: none has answered yet. */
export function chosenIn(
  report: ReadonlyMap<string, unknown>,
): Pick<Found, "way" | "rttMs"> | null {
  for (const one of report.values()) {
    const pair = one as RTCIceCandidatePairStats;
    if (pair.type !== "candidate-pair" || !pair.nominated || pair.state !== "succeeded") continue;
    if (pair.currentRoundTripTime === undefined) continue;
    const local = report.get(pair.localCandidateId) as
      | { readonly candidateType?: string; readonly protocol?: string }
      | undefined;
    const way =
      local?.candidateType === "relay"
        ? "relay"
        : local?.protocol === "udp" || local?.protocol === "tcp"
          ? local.protocol
          : "unknown";
    return { way, rttMs: pair.currentRoundTripTime * 1000 };
  }
  return null;
}
