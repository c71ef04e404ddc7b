// Writes one line an instruction into trace.txt: unit, the cycles in which it was taken and was
// complete, and checksums of what it wrote. `cosim.trace` reads it and says what the numbers mean.
//
// It is put into the simulated core beside the units (`cosim.observed_core`); it drives nothing.
module eoq_core_observer #(
  parameter COLUMNS = 1,
  parameter LINE_BYTES = 4,
  parameter SCRATCHPAD_BITS = 1,
  parameter RESULTS_BITS = 1,
  parameter SUM_BITS = 32,
  parameter BUS_BITS = 40,
  // Operations that have an end of their own, a bit each.
  parameter [31:0] MATRIX_RUNS = 0,
  parameter [31:0] VECTOR_RUNS = 0,
  // Cycles from a product's being taken to the first write of column 0.
  parameter FIRST_WRITE = 1
) (
  input clk,
  input running,
  input matrix_taken, vector_taken, dma_taken,
  input [4:0] matrix_op, vector_op,
  input matrix_complete, vector_complete, dma_complete,
  input v_enable,
  input [SCRATCHPAD_BITS-1:0] v_address,
  input [COLUMNS-1:0] v_mask,
  input [8*COLUMNS-1:0] v_data,
  input d_enable,
  input [SCRATCHPAD_BITS-1:0] d_address,
  input [8*LINE_BYTES-1:0] d_data,
  input r_enable,
  input [RESULTS_BITS-1:0] r_address,
  input [SUM_BITS*COLUMNS-1:0] r_data,
  input s_enable,
  input [7:0] s_number,
  input [47:0] s_value,
  input [COLUMNS-1:0] z_enable,
  input [RESULTS_BITS*COLUMNS-1:0] z_address,
  input [SUM_BITS*COLUMNS-1:0] z_data,
  input o_begins,
  input [BUS_BITS-1:0] o_address,
  input o_enable,
  input [8*LINE_BYTES-1:0] o_data,
  input [LINE_BYTES-1:0] o_strobe
);
  localparam MATRIX = 2, VECTOR = 3, DMA = 4;
  localparam PRODUCTS = 64;

  integer file;
  initial file = $fopen("trace.txt", "w");

  // Every write of one instruction, where +watch_program, +watch_unit and +watch_word name one by
  // its place among the unit's words of that program: kind, address, value in writes.txt.
  integer watched, watch_program, watch_unit, watch_word;
  integer program_number = 0, v_number = 0, d_number = 0, m_number = 0;
  reg v_watched = 0, d_watched = 0;
  reg [31:0] m_watched = 0;
  initial begin
    watched = 0;
    if (!$value$plusargs("watch_program=%d", watch_program)) watch_program = 0;
    if (!$value$plusargs("watch_word=%d", watch_word)) watch_word = 0;
    if ($value$plusargs("watch_unit=%d", watch_unit)) watched = $fopen("writes.txt", "w");
    else watch_unit = 0;
  end

  function watch(input integer unit, input integer number);
    watch = unit == watch_unit && number == watch_word && program_number == watch_program;
  endfunction

  reg [63:0] now = 0;
  always @(posedge clk) now <= running ? now + 1 : 0;

  // SplitMix64 of address and data.
  function automatic [63:0] mix(input [31:0] address, input [31:0] value);
    reg [63:0] x;
    begin
      x = {address, value} + 64'h9E3779B97F4A7C15;
      x = (x ^ (x >> 30)) * 64'hBF58476D1CE4E5B9;
      x = (x ^ (x >> 27)) * 64'h94D049BB133111EB;
      mix = x ^ (x >> 31);
    end
  endfunction

  function automatic [31:0] extended(input [SUM_BITS-1:0] value);
    extended = $signed({{32{value[SUM_BITS-1]}}, value});
  endfunction

  integer k, c;

  // Vector unit and DMA: one instruction at a time.
  reg v_open = 0, d_open = 0;
  reg [63:0] v_since, v_bytes, v_words, v_scalars;
  reg [63:0] d_since, d_bytes, d_outside;
  reg [31:0] o_next;

  // Matrix unit: products overlap, but each column writes them in order: the first sum of a product
  // comes FIRST_WRITE cycles after it was taken, and a cycle later in each further column. A word
  // that a product writes again, with the sum over one more tile, counts as it is in the end.
  reg [63:0] m_since [0:PRODUCTS-1], m_words [0:PRODUCTS-1];
  reg [31:0] m_taken = 0, m_complete = 0;
  reg [31:0] owner [0:COLUMNS-1];
  reg [31:0] written_by [0:(COLUMNS << RESULTS_BITS)-1];
  reg [63:0] written [0:(COLUMNS << RESULTS_BITS)-1];
  reg [63:0] mixed;
  reg [RESULTS_BITS-1:0] word;
  reg [31:0] place;
  initial begin
    for (k = 0; k < COLUMNS; k = k + 1) owner[k] = 0;
    for (k = 0; k < COLUMNS << RESULTS_BITS; k = k + 1) written_by[k] = 0;
  end

  reg was_running = 0;
  always @(posedge clk) begin
    if (vector_taken) begin
      v_open = VECTOR_RUNS[vector_op];
      v_watched = watch(VECTOR, v_number);
      v_number = v_number + 1;
      v_since = now;
      v_bytes = 0;
      v_words = 0;
      v_scalars = 0;
      if (!v_open) $fwrite(file, "%0d %0d %0d 0 0 0 0\n", VECTOR, now, now);
    end
    if (v_enable)
      for (k = 0; k < COLUMNS; k = k + 1)
        if (v_mask[k]) begin
          v_bytes = v_bytes + mix(32'(v_address) + 32'(k), 32'(v_data[8*k +: 8]));
          if (v_watched) $fwrite(watched, "byte %0d %0d\n", 32'(v_address) + 32'(k),
                                 v_data[8*k +: 8]);
        end
    if (r_enable)
      for (k = 0; k < COLUMNS; k = k + 1) begin
        v_words = v_words
                + mix(32 * 32'(r_address) + 32'(k), extended(r_data[SUM_BITS*k +: SUM_BITS]));
        if (v_watched) $fwrite(watched, "sum %0d %0d\n", 32 * 32'(r_address) + 32'(k),
                               $signed(extended(r_data[SUM_BITS*k +: SUM_BITS])));
      end
    if (s_enable && s_number != 0)
      v_scalars = v_scalars + mix(2 * 32'(s_number), s_value[31:0])
                + mix(2 * 32'(s_number) + 1, 32'(s_value[47:32]));
    if (vector_complete) begin
      $fwrite(file, "%0d %0d %0d %0d %0d %0d 0\n",
              VECTOR, v_since, now, v_bytes, v_words, v_scalars);
      v_open = 0;
      v_watched = 0;
    end

    if (dma_taken) begin
      d_open = 1;
      d_watched = watch(DMA, d_number);
      d_number = d_number + 1;
      d_since = now;
      d_bytes = 0;
      d_outside = 0;
    end
    if (o_begins) o_next = o_address[31:0];
    if (d_enable)
      for (k = 0; k < LINE_BYTES; k = k + 1) begin
        d_bytes = d_bytes + mix(32'(d_address) + 32'(k), 32'(d_data[8*k +: 8]));
        if (d_watched) $fwrite(watched, "byte %0d %0d\n", 32'(d_address) + 32'(k),
                               d_data[8*k +: 8]);
      end
    if (o_enable) begin
      for (k = 0; k < LINE_BYTES; k = k + 1)
        if (o_strobe[k]) begin
          d_outside = d_outside + mix(o_next + 32'(k), 32'(o_data[8*k +: 8]));
          if (d_watched) $fwrite(watched, "byte %0d %0d\n", o_next + 32'(k), o_data[8*k +: 8]);
        end
      o_next = o_next + LINE_BYTES;
    end
    if (dma_complete) begin
      $fwrite(file, "%0d %0d %0d %0d 0 0 %0d\n", DMA, d_since, now, d_bytes, d_outside);
      d_open = 0;
    end

    for (c = 0; c < COLUMNS; c = c + 1)
      if (z_enable[c]) begin
        // Products have numbers from one.
        while (owner[c] != m_taken
               && m_since[(owner[c] + 1) % PRODUCTS] + FIRST_WRITE + 64'(c) <= now)
          owner[c] = owner[c] + 1;
        word = z_address[RESULTS_BITS*c +: RESULTS_BITS];
        place = 32'(word) * COLUMNS + 32'(c);
        mixed = mix(32 * 32'(word) + 32'(c), extended(z_data[SUM_BITS*c +: SUM_BITS]));
        m_words[owner[c] % PRODUCTS] = m_words[owner[c] % PRODUCTS] + mixed
                                     - (written_by[place] == owner[c] ? written[place] : 0);
        if (m_watched != 0 && owner[c] == m_watched)
          $fwrite(watched, "sum %0d %0d\n", 32 * 32'(word) + 32'(c),
                  $signed(extended(z_data[SUM_BITS*c +: SUM_BITS])));
        written_by[place] = owner[c];
        written[place] = mixed;
      end
    if (matrix_complete) begin
      m_complete = m_complete + 1;
      $fwrite(file, "%0d %0d %0d 0 %0d 0 0\n",
              MATRIX, m_since[m_complete % PRODUCTS], now, m_words[m_complete % PRODUCTS]);
    end
    if (matrix_taken) begin
      if (MATRIX_RUNS[matrix_op]) begin
        m_taken = m_taken + 1;
        m_since[m_taken % PRODUCTS] = now;
        m_words[m_taken % PRODUCTS] = 0;
        if (watch(MATRIX, m_number)) m_watched = m_taken;
      end
      else $fwrite(file, "%0d %0d %0d 0 0 0 0\n", MATRIX, now, now);
      m_number = m_number + 1;
    end

    // A program's end. What was cut short has no end of its own: a 0, when nothing can have ended.
    if (was_running && !running) begin
      if (v_open)
        $fwrite(file, "%0d %0d 0 %0d %0d %0d 0\n", VECTOR, v_since, v_bytes, v_words, v_scalars);
      if (d_open) $fwrite(file, "%0d %0d 0 %0d 0 0 %0d\n", DMA, d_since, d_bytes, d_outside);
      while (m_complete != m_taken) begin
        m_complete = m_complete + 1;
        $fwrite(file, "%0d %0d 0 0 %0d 0 0\n",
                MATRIX, m_since[m_complete % PRODUCTS], m_words[m_complete % PRODUCTS]);
      end
      v_open = 0;
      d_open = 0;
      $fwrite(file, "0 0 %0d 0 0 0 0\n", now);
      $fflush(file);
      program_number = program_number + 1;
      v_number = 0;
      d_number = 0;
      m_number = 0;
    end
    was_running = running;
  end
endmodule
