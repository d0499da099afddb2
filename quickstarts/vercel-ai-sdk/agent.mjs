// A support agent on the Vercel AI SDK: two questions in one thread; the second's tool fails.

import { openai } from '@ai-sdk/openai';
import { OpenTelemetry } from '@ai-sdk/otel';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { BatchSpanProcessor, NodeTracerProvider } from '@opentelemetry/sdk-trace-node';
import { isStepCount, registerTelemetry, streamText, tool } from 'ai';
import { z } from 'zod';

const provider = new NodeTracerProvider({
  spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())],
});
provider.register();
registerTelemetry(new OpenTelemetry({
  enrichSpan: ({ runtimeContext: who }) => who && {
    'tenant.id': who.tenantId, 'user.id': who.userId, 'gen_ai.conversation.id': who.threadId,
  },
}));

const orders = { 1042: 'shipped this morning' };
const find_order = tool({
  description: 'Where an order is.',
  inputSchema: z.object({ order_id: z.number().int() }),
  execute: async ({ order_id }) => {
    if (!(order_id in orders)) throw new Error(`no order ${order_id}`);
    return orders[order_id];
  },
});

const messages = [];
for (const question of ['Please find order 1042.', 'And please find order 7.']) {
  messages.push({ role: 'user', content: question });
  const result = streamText({
    model: openai('gpt-4o-mini'),
    messages,
    tools: { find_order },
    stopWhen: isStepCount(5),
    runtimeContext: { tenantId: 'acme', userId: 'ada', threadId: 'thread-1' },
    telemetry: {
      functionId: 'support',
      recordInputs: false,
      recordOutputs: false,
      includeRuntimeContext: { tenantId: true, userId: true, threadId: true },
    },
  });
  for await (const text of result.textStream) process.stdout.write(text);
  process.stdout.write('\n');
  messages.push(...(await result.response).messages);
}
await provider.shutdown();
