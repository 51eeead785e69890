import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { createProxy, type Proxy } from "@tidemark/test-servers/proxy";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

/** Speaks as much of PostgreSQL's protocol as the proxy reads: an answer to each line, and whether a transaction is open. */
function createFake(requests: string[]) {
  return createServer((socket) => {
    let status = "I";
    socket.on("error", () => undefined);
    socket.on("data", (bytes) => {
      for (const line of bytes.toString().split("\n").filter(Boolean)) {
        requests.push(line);
        if (line === "begin") status = "T";
        if (line === "commit" || line === "fail") status = "I";
        if (line === "fail") socket.write(message("E", "no luck"));
        // In two pieces, as a network may cut it.
        const ready = message("Z", status);
        socket.write(message("C", line.toUpperCase()));
        socket.write(ready.subarray(0, 3));
        setImmediate(() => socket.write(ready.subarray(3)));
      }
    });
  });
}

function message(type: string, body: string): Buffer {
  const head = Buffer.alloc(5);
  head.write(type);
  head.writeInt32BE(4 + body.length, 1);
  return Buffer.concat([head, Buffer.from(body)]);
}

/** A client that sends a line and resolves with the status at the end of its answer; undefined when it is cut off. */
async function createClient(proxy: Proxy) {
  const { hostname, port } = new URL(proxy.url);
  const socket: Socket = connect(Number(port), hostname);
  const closed = new Promise<undefined>((resolve) => socket.once("close", () => resolve(undefined)));
  socket.on("error", () => undefined);
  let heard = Buffer.alloc(0);
  const ask = async (line: string): Promise<string | undefined> => {
    heard = Buffer.alloc(0);
    const answer = new Promise<string>((resolve) => {
      const onData = (bytes: Buffer): void => {
        heard = Buffer.concat([heard, bytes]);
        const ready = heard.subarray(-6);
        if (ready[0] !== "Z".charCodeAt(0)) return;
        socket.off("data", onData);
        resolve(ready.toString("latin1", 5));
      };
      socket.on("data", onData);
    });
    socket.write(`${line}\n`);
    return Promise.race([answer, closed]);
  };
  return { ask, closed, end: () => socket.destroy() };
}

describe("a proxy", () => {
  const requests: string[] = [];
  const server = createFake(requests);
  let proxy: Proxy;

  beforeEach(async () => {
    requests.length = 0;
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    proxy = await createProxy(`postgres://user@127.0.0.1:${port}/db`);
  });

  afterEach(async () => {
    await proxy.close();
    server.close();
    await once(server, "close");
  });

  test("passes on what both sides say", async () => {
    const client = await createClient(proxy);
    expect([await client.ask("begin"), await client.ask("work"), await client.ask("commit")]).toEqual(["T", "T", "I"]);
    expect(new URL(proxy.url)).toMatchObject({ username: "user", pathname: "/db" });
    client.end();
  });

  test("cuts connections, and new ones, until it is mended", async () => {
    const client = await createClient(proxy);
    await client.ask("work");
    proxy.cut();
    await client.closed;
    expect(await (await createClient(proxy)).ask("work")).toBeUndefined();
    proxy.mend();
    const another = await createClient(proxy);
    expect(await another.ask("work")).toBe("I");
    another.end();
  });

  test("loses the answer to the commit of the transaction that sends a text, and no other", async () => {
    const [client, neighbour] = [await createClient(proxy), await createClient(proxy)];
    const loss = proxy.loseAnswer("the mark");
    await client.ask("begin");
    expect(await client.ask("work with the mark in it")).toBe("T");
    expect(await neighbour.ask("commit")).toBe("I");
    expect(loss.isLost).toBe(false);
    expect(await client.ask("commit")).toBeUndefined();
    expect(loss.isLost).toBe(true);
    expect(requests.filter((line) => line === "commit")).toHaveLength(2);
    neighbour.end();
  });

  test("loses the answer to a statement that commits by itself, but not to one that fails", async () => {
    const client = await createClient(proxy);
    await client.ask("work");
    const loss = proxy.loseAnswer("mark");
    await client.ask("begin");
    await client.ask("mark");
    expect(await client.ask("fail")).toBe("I");
    expect(loss.isLost).toBe(false);
    expect(await client.ask("mark again")).toBeUndefined();
    expect(loss.isLost).toBe(true);
  });

  test("knows the protocols that it can read only", async () => {
    await expect(createProxy("http://localhost")).rejects.toThrow("http:");
  });
});
