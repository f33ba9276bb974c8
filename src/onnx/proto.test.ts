import { describe, expect, it } from "vitest";
import * as proto from "./proto.js";

/** The bytes of a message as text: letters as they are, others in hexadecimal. */
function bytes({ pieces, length }: proto.Message): string {
  const all = Buffer.concat(pieces);
  expect(all.length).toBe(length);
  return Array.from(all, (b) => (b > 96 && b < 123 ? String.fromCharCode(b) : `<${b.toString(16)}>`)).join("");
}

// Written out by hand from onnx.proto: <key> is field number · 8 + wire type (0 varint, 2 length and bytes, 5 four bytes).
describe("the wire format", () => {
  it("of a node: inputs 1, outputs 2, name 3, operator 4, attributes 5, domain 7", () => {
    expect(bytes(proto.node("add", ["x", ""], ["y"], {}, "n"))).toBe("<a><1>x<a><0><12><1>y<1a><1>n<22><3>add");
    expect(bytes(proto.node("com.ms.gelu", ["x"], ["y"], {}, "n"))).toBe(
      "<a><1>x<12><1>y<1a><1>n<22><4>gelu<3a><6>com<2e>ms",
    );
  });

  it("of attributes: name 1, float 2, integer 3, text 4, graph 6, integers 8, type 20", () => {
    const of = (value: proto.AttributeValue) =>
      bytes(proto.node("o", [], [], { k: value }, "n")).replace(/^.*<22><1>o<2a><[0-9a-f]+><a><1>k/, "");
    expect(of(3)).toBe("<18><3><a0><1><2>");
    expect(of(300)).toBe("<18><ac><2><a0><1><2>");
    expect(of(-1)).toBe("<18><ff><ff><ff><ff><ff><ff><ff><ff><ff><1><a0><1><2>");
    expect(of("tanh")).toBe("<22><4>tanh<a0><1><3>");
    expect(of({ f: -0.5 })).toBe("<15><0><0><0><bf><a0><1><1>");
    expect(of([1, 200])).toBe("<40><1><40><c8><1><a0><1><7>");
    expect(of([])).toBe("<a0><1><7>");
    const body = proto.graph("b", { nodes: [], initializers: [], inputs: [], outputs: [] });
    expect(of({ graph: body })).toBe("<32><3><12><1>b<a0><1><5>");
  });

  it("of a tensor: sizes 1, type 2, name 8, raw data 9", () => {
    expect(bytes(proto.tensor("w", "int32", [2, 1], Int32Array.of(97, -1)))).toBe(
      "<8><2><8><1><10><6><42><1>w<4a><8>a<0><0><0><ff><ff><ff><ff>",
    );
    expect(bytes(proto.tensor("s", "bool", [], Uint8Array.of(1)))).toBe("<10><9><42><1>s<4a><1><1>");
  });

  it("of a view into a larger array: only its own bytes", () => {
    const view = Uint8Array.of(120, 121, 122).subarray(1, 2);
    expect(bytes(proto.tensor("s", "uint8", [1], view))).toBe("<8><1><10><2><42><1>s<4a><1>y");
  });

  it("of a tensor elsewhere: entries 13 of key 1 and value 2, data location 14", () => {
    expect(bytes(proto.externalTensor("w", "float32", [3], { location: "f", offset: 8, length: 12 }))).toBe(
      "<8><3><10><1><42><1>w" +
        "j<d><a><8>location<12><1>f" +
        "j<b><a><6>offset<12><1><38>" +
        "j<c><a><6>length<12><2><31><32>" +
        "p<1>",
    );
  });

  it("of a type: name 1, tensor type 1 in 2, element type 1, sizes 2 with value 1 or name 2", () => {
    expect(bytes(proto.valueInfo("x", "float32", [2, "b"]))).toBe(
      "<a><1>x<12><f><a><d><8><1><12><9><a><2><8><2><a><3><12><1>b",
    );
    expect(bytes(proto.valueInfo("s", "int64", []))).toBe("<a><1>s<12><6><a><4><8><7><12><0>");
  });

  it("of a model: format 1, producer 2, graph 7, operator sets 8 with domain 1 and version 2", () => {
    const body = proto.graph("g", { nodes: [], initializers: [], inputs: [], outputs: [] });
    const text = (contrib: boolean) => {
      const whole = proto.model(body, 21, contrib, 10);
      return bytes({ pieces: [whole], length: whole.length });
    };
    expect(text(false)).toBe("<8><a><12><7>tessera<3a><3><12><1>g<42><4><a><0><10><15>");
    expect(text(true)).toBe(`${text(false)}<42><11><a><d>com<2e>microsoft<10><1>`);
  });
});
