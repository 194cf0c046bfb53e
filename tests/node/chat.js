// Uses the gateway through OpenAI's library, and prints as JSON what came of it: node chat.js BASE_URL KEY
import OpenAI from "openai";

const [baseURL, apiKey] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const messages = [{ role: "user", content: "Say something." }];
const tools = [{ type: "function", function: { name: "bash", parameters: { type: "object", properties: { command: { type: "string" } }, required: ["command"] } } }];

async function failure(work) {
  try {
    await work();
    return null;
  } catch (error) {
    return { kind: error.constructor.name, status: error.status };
  }
}

const whole = await client.chat.completions.create({ model: "stand-in", messages });
const stream = await client.chat.completions.create({ model: "stand-in", messages, stream: true, stream_options: { include_usage: true } });
const streamed = { text: "", usage: null };
for await (const chunk of stream) {
  streamed.text += chunk.choices[0]?.delta?.content ?? "";
  streamed.usage = chunk.usage ?? streamed.usage;
}
const called = await client.chat.completions.create({ model: "stand-in", messages, tools });
const runner = client.chat.completions.stream({ model: "stand-in", messages, tools });
const toolStream = await runner.finalChatCompletion();
const models = [];
for await (const model of await client.models.list()) models.push(model.id);
const errors = {
  key: await failure(() => new OpenAI({ baseURL, apiKey: "sk-wrong", maxRetries: 0 }).models.list()),
  mistake: await failure(() => client.chat.completions.create({ model: "stand-in", messages: [] })),
  unknown: await failure(() => client.chat.completions.create({ model: "stand-in", messages, competitor_id: "nobody" })),
  broken: await failure(() => client.chat.completions.create({ model: "stand-in-500", messages })),
};
console.log(JSON.stringify({
  whole: whole.choices[0].message.content,
  usage: whole.usage,
  streamed: { text: streamed.text, usage: streamed.usage },
  called: called.choices[0].message.tool_calls[0].function,
  finish: called.choices[0].finish_reason,
  toolStream: toolStream.choices[0].message.tool_calls[0].function,
  models,
  errors,
}));
