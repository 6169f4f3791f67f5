import {
  BarVisualizer,
  RoomAudioRenderer,
  useConnectionQualityIndicator,
  useLocalParticipant,
  useMediaDeviceSelect,
  useTrackVolume,
  useVoiceAssistant,
} from "@livekit/components-react";
import { ConnectionQuality, type LocalAudioTrack } from "livekit-client";
import type { ReactElement } from "react";
import { duration, plain } from "../lib/format";
import type { Call } from "./call";
import { Microphone } from "./Panel";
import type { CallView, Marks, Phase } from "./store";
import { useNow } from "./useNow";

const PHASES: Partial<Record<Phase, string>> = {
  asking: "Requesting the microphone…",
  creating: "Creating room…",
  joining: "Joining…",
  waiting: "Waiting for agent…",
  reconnecting: "Connection lost, reconnecting…",
  ending: "Ending…",
};
const QUALITIES: Record<ConnectionQuality, string> = {
  [ConnectionQuality.Excellent]: "connection excellent",
  [ConnectionQuality.Good]: "connection good",
  [ConnectionQuality.Poor]: "connection poor",
  [ConnectionQuality.Lost]: "connection lost",
  [ConnectionQuality.Unknown]: "",
};

const MARKS: Record<keyof Marks, string> = {
  joined: "joined",
  listening: "agent listening",
  firstSound: "first audio",
};

interface Props {
  readonly view: CallView;
  readonly call: Call;
}

/** The call's own strip: how it stands, the agent's voice, the microphone, the clock, the end. */
export function InCall({ view, call }: Props): ReactElement {
  const agent = useVoiceAssistant();
  const said = PHASES[view.phase] ?? agentWords(view.agentState);
  return (
    <div className="talk-call" data-phase={view.phase}>
      <div className="talk-agent">
        <BarVisualizer
          state={agent.state}
          {...(agent.audioTrack === undefined ? {} : { track: agent.audioTrack })}
          barCount={7}
          className="talk-bars"
          aria-hidden="true"
        />
        <div>
          <strong>{plain(view.session?.agent ?? "")}</strong>
          <p className="talk-state">
            <span role="status">{said}</span>
            <Quality />
          </p>
        </div>
        <Clock view={view} />
      </div>
      <div className="talk-row">
        {view.mode === "voice" && <MicrophoneControl view={view} call={call} />}
        <button
          type="button"
          className="talk-button talk-end"
          disabled={view.phase === "ending"}
          onClick={() => void call.end()}
        >
          End call
        </button>
      </div>
      <Times marks={view.marks} />
    </div>
  );
}

/** What the agent's sound is played by; stands outside of what Streamlit may take away. */
export function Sound(): ReactElement {
  return <RoomAudioRenderer />;
}

/** How long after the click each step was reached; nothing before the first. */
export function Times({ marks }: { readonly marks: Marks }): ReactElement | null {
  const said = (Object.keys(MARKS) as (keyof Marks)[])
    .filter((name) => marks[name] !== null)
    .map((name) => `${MARKS[name]} in ${((marks[name] ?? 0) / 1000).toFixed(2)} s`);
  if (said.length === 0) return null;
  return <p className="talk-hint talk-times">{capitalized(said.join(" · "))}</p>;
}

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function agentWords(state: string): string {
  switch (state) {
    case "listening":
      return "Listening";
    case "thinking":
      return "Thinking";
    case "speaking":
      return "Speaking";
    case "":
      return "Disconnected";
    default:
      return plain(state);
  }
}

function MicrophoneControl({ view, call }: Props): ReactElement {
  const { microphoneTrack } = useLocalParticipant();
  const track = microphoneTrack?.track as LocalAudioTrack | undefined;
  const level = useTrackVolume(track);
  const devices = useMediaDeviceSelect({ kind: "audioinput", room: call.room });
  const percent = view.muted ? 0 : Math.min(100, Math.round(level * 160));
  return (
    <>
      <button
        type="button"
        className="talk-button"
        aria-pressed={view.muted}
        disabled={track === undefined}
        onClick={() => void call.mute(!view.muted)}
      >
        <Microphone /> {view.muted ? "Unmute" : "Mute"}
      </button>
      <meter className="talk-level" aria-label="Microphone level" max={100} value={percent} />
      <select
        className="talk-select"
        aria-label="Microphone"
        value={devices.activeDeviceId}
        onChange={(event) => void devices.setActiveMediaDevice(event.target.value)}
      >
        {devices.devices.map((device) => (
          <option key={device.deviceId} value={device.deviceId}>
            {plain(device.label || "Microphone")}
          </option>
        ))}
      </select>
    </>
  );
}

function Quality(): ReactElement | null {
  const { localParticipant } = useLocalParticipant();
  const { quality } = useConnectionQualityIndicator({ participant: localParticipant });
  const words = QUALITIES[quality];
  return words === "" ? null : <span className="talk-quality"> · {words}</span>;
}

/** Since when, and until when. */
function Clock({ view }: { readonly view: CallView }): ReactElement | null {
  const now = useNow(view.joinedAt !== null);
  if (view.joinedAt === null) return null;
  const left = view.session?.expiresAt ? (view.session.expiresAt - now) / 1000 : null;
  return (
    <p className="talk-clock">
      <span title="Call duration">{duration((now - view.joinedAt) / 1000)}</span>
      {left !== null && <span className="talk-left">{duration(left)} left</span>}
    </p>
  );
}
