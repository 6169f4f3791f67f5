// An unmodified LiveKit front end against Switchboard: TokenSource's own request and answer.
import { Room, RoomEvent, TokenSource, Track } from "livekit-client";

// Where the dashboard is. It must name this page's origin in SWITCHBOARD_CORS_ORIGINS.
const dashboard = new URLSearchParams(location.search).get("dashboard") ?? "http://localhost:8501";
const tokens = TokenSource.endpoint(`${dashboard}/api/voice/session`);

const [talk, stop, state, said] = ["talk", "stop", "state", "said"].map((id) =>
  document.getElementById(id),
);
const room = new Room();

room.on(RoomEvent.TrackSubscribed, (track) => {
  if (track.kind === Track.Kind.Audio) document.body.append(track.attach());
});
room.on(RoomEvent.Disconnected, () => {
  state.textContent = "Not in a call.";
  talk.disabled = false;
  stop.disabled = true;
});
room.registerTextStreamHandler("lk.transcription", async (reader, from) => {
  const line = said.appendChild(document.createElement("li"));
  for await (const piece of reader) line.textContent += piece;
  line.title = from.identity;
});

talk.onclick = async () => {
  talk.disabled = true;
  try {
    const { serverUrl, participantToken } = await tokens.fetch({
      agentName: "pm-agent",
      participantName: "nate",
    });
    await room.connect(serverUrl, participantToken);
    await room.localParticipant.setMicrophoneEnabled(true);
    state.textContent = `In ${room.name}.`;
    stop.disabled = false;
  } catch (error) {
    state.textContent = `It did not work: ${error.message}`;
    talk.disabled = false;
  }
};
stop.onclick = () => room.disconnect();
