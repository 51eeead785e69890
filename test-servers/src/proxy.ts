import { once } from "node:events";
import { createServer, Socket } from "node:net";
import { mysqlProtocol } from "./mysql/answers.ts";
import { portOf } from "./ports.ts";
import { postgresProtocol } from "./postgres/answers.ts";

/** A line to a database server that breaks when it is told to. Clients connect to it as they would to the server. */
export interface Proxy {
  /** As the server's, on this machine. */
  readonly url: string;
  /** Cuts every connection, and each new one at once, until {@link mend}. */
  cut(): void;
  mend(): void;
  /** Leads new connections to another server of the same kind, as a name that moves does. Those that are there stay. */
  redirect(serverUrl: string): void;
  /**
   * The transaction in which a client sends `text` next is committed, but the client never learns of it: its connection
   * is cut instead of the answer. Choose a text that is in one transaction only.
   */
  loseAnswer(text: string): LostAnswer;
  /** Cuts every connection and takes no new ones. May be called twice. */
  close(): Promise<void>;
}

export interface LostAnswer {
  /** Whether it has happened. */
  readonly isLost: boolean;
}

/** What has to be known of a kind of server. */
export interface Protocol {
  /** As in URLs, with the colon. */
  readonly protocols: readonly string[];
  readonly defaultPort: number;
  /** A reader for one connection. */
  readAnswers(): AnswerReader;
}

export interface AnswerReader {
  /** Takes in what the client says, from its first byte on. */
  ask(bytes: Buffer): void;
  /** Takes in what the server says, from the beginning of some answer on. The answers that are complete by now, in order. */
  read(bytes: Buffer): readonly Answer[];
}

/** All that a server says to one request. */
export interface Answer {
  readonly bytes: Buffer;
  /** Whether something was carried out, and no transaction is open after it. */
  readonly isCommitted: boolean;
}

const kinds: readonly Protocol[] = [postgresProtocol, mysqlProtocol];

/** Opens a line to the server behind a URL. Without TLS or compression: nobody could read it. */
export async function createProxy(serverUrl: string): Promise<Proxy> {
  const url = new URL(serverUrl);
  const protocol = kinds.find(({ protocols }) => protocols.includes(url.protocol));
  if (protocol === undefined) throw new Error(`Nobody knows how to pass on ${url.protocol}//.`);
  let target = targetOf(url, protocol);
  const lines = new Set<Line>();
  const wanted = new Set<Loss>();
  let isCut = false;
  const server = createServer((client) => {
    client.on("error", ignore);
    if (isCut) return void client.resetAndDestroy();
    const line = new Line(client, new Socket(), { protocol, wanted });
    lines.add(line);
    line.connect(target, () => lines.delete(line));
  });
  server.listen(0, HOST);
  await once(server, "listening");
  url.hostname = HOST;
  url.port = String(portOf(server));
  const cutAll = (): void => {
    for (const line of lines) line.cut();
  };
  return {
    url: url.href,
    cut: () => {
      isCut = true;
      cutAll();
    },
    mend: () => {
      isCut = false;
    },
    redirect: (otherUrl) => {
      target = targetOf(new URL(otherUrl), protocol);
    },
    loseAnswer: (text) => {
      const loss = { text, isLost: false };
      wanted.add(loss);
      return loss;
    },
    close: async () => {
      cutAll();
      if (!server.listening) return;
      server.close();
      await once(server, "close");
    },
  };
}

const HOST = "127.0.0.1";

interface Target {
  readonly host: string;
  readonly port: number;
}

function targetOf({ hostname, port }: URL, { defaultPort }: Protocol): Target {
  return { host: hostname.replace(/^\[|\]$/g, ""), port: Number(port || defaultPort) };
}

interface Loss {
  readonly text: string;
  isLost: boolean;
}

/** One connection of a client, passed on to the server. */
class Line {
  readonly #client: Socket;
  readonly #server: Socket;
  readonly #answers: AnswerReader;
  readonly #wanted: Set<Loss>;
  /** The end of what the client has sent, in which the beginning of a text may be. */
  #sent = "";
  #loss: Loss | undefined;

  constructor(
    client: Socket,
    server: Socket,
    { protocol, wanted }: { readonly protocol: Protocol; readonly wanted: Set<Loss> },
  ) {
    this.#client = client;
    this.#server = server;
    this.#answers = protocol.readAnswers();
    this.#wanted = wanted;
  }

  connect(target: Target, onEnd: () => void): void {
    const [client, server] = [this.#client, this.#server];
    server.on("error", ignore);
    client.setNoDelay(true);
    server.setNoDelay(true);
    server.connect(target.port, target.host);
    client.on("data", (bytes) => {
      this.#answers.ask(bytes);
      this.#watch(bytes);
      pass(bytes, client, server);
    });
    server.on("data", (bytes) => this.#answer(bytes));
    client.on("close", () => server.destroy());
    server.on("close", () => client.destroy());
    client.on("close", onEnd);
  }

  cut(): void {
    this.#client.resetAndDestroy();
    this.#server.resetAndDestroy();
  }

  #watch(bytes: Buffer): void {
    if (this.#loss !== undefined || this.#wanted.size === 0) return;
    const sent = this.#sent + bytes.toString("latin1");
    for (const loss of this.#wanted) {
      if (!sent.includes(Buffer.from(loss.text).toString("latin1"))) continue;
      this.#wanted.delete(loss);
      this.#loss = loss;
    }
    this.#sent = sent.slice(-LONGEST_TEXT);
  }

  #answer(bytes: Buffer): void {
    const loss = this.#loss;
    if (loss === undefined) return pass(bytes, this.#server, this.#client);
    for (const answer of this.#answers.read(bytes)) {
      if (answer.isCommitted) {
        loss.isLost = true;
        this.#client.destroy();
        this.#server.destroy();
        return;
      }
      pass(answer.bytes, this.#server, this.#client);
    }
  }
}

const LONGEST_TEXT = 200;

function pass(bytes: Buffer, from: Socket, to: Socket): void {
  if (to.destroyed || to.write(bytes)) return;
  from.pause();
  to.once("drain", () => from.resume());
}

/** What goes wrong with one end is told by its end, and passed on to the other. */
function ignore(): void {}
