"""An n-gram model of clean lines, and the lines of a crawl that are like them."""

from xent.language import NGramModel, WittenBell

clean = ["the cat sat on the mat", "a dog and a cat sat", "the dog sat on a cat"] * 3
crawl = ["the dog sat on the mat", "BUY $$$ now now now", "a cat is on a mat", "x9f3 0x00 ff"]

model = NGramModel(3, WittenBell()).fit(clean)
report = model.evaluate(crawl)
print(f"perplexity {report.perplexity:.1f}, {report.bits_per_byte:.2f} bits a byte")

for line in sorted(crawl, key=lambda line: model.evaluate([line]).bits_per_byte):
    print(f"{model.evaluate([line]).bits_per_byte:6.2f} bits a byte   {line}")
