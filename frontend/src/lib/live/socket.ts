export interface SocketHandlers {
  onOpen(): void;
  onFrame(text: string): void;
  /** It is over, for whatever reason. Comes once, and not after `close`. */
  onEnd(): void;
}

export interface OpenedSocket {
  send(text: string): void;
  /** After closing no handler is called any more. */
  close(): void;
}

export type OpenSocket = (handlers: SocketHandlers) => OpenedSocket;

const NORMAL = 1000;

/** A WebSocket at the dashboard's `/api/live`: no tab holds a request slot of its browser by it. */
export const openWebSocket: OpenSocket = (handlers) => {
  const address = new URL("api/live", document.baseURI);
  address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(address);
  socket.onopen = () => handlers.onOpen();
  socket.onmessage = ({ data }) => {
    if (typeof data === "string") handlers.onFrame(data);
  };
  socket.onclose = () => handlers.onEnd();
  return {
    send: (text) => socket.send(text),
    close: () => {
      socket.onmessage = null;
      socket.onclose = null;
      // Browsers write an error on the console when a socket is closed before it is open.
      if (socket.readyState === WebSocket.CONNECTING) socket.onopen = () => socket.close(NORMAL);
      else socket.close(NORMAL);
    },
  };
};
