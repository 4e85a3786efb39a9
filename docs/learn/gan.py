# %% [markdown] lang="en"
# # 3. A forger and a judge: the generative adversarial network
#
# A generator $G$ makes pictures of random numbers $z$; a discriminator $D$ gives every picture a number, large for those
# it takes for real. Each learns from the other (Goodfellow et al. 2014). With $\mathrm{softplus}(a) = \log(1 + e^a)$
#
# $$ L_D = \mathbb{E}\,\mathrm{softplus}(-D(x)) + \mathbb{E}\,\mathrm{softplus}(D(G(z))), \qquad
# L_G = \mathbb{E}\,\mathrm{softplus}(-D(G(z))). $$
#
# No likelihood is computed anywhere, so samples are sharp, but nothing says that *every* kind of picture is drawn.
# What keeps $D$ from becoming a cliff is a penalty on its slope at real pictures, **R1** (Mescheder et al. 2018):
# $\tfrac{\gamma}{2}\, \mathbb{E}\, \lVert \nabla_x D(x) \rVert^2$.

# %% [markdown] lang="zh-CN"
# # 3. 造假者与鉴定人：生成对抗网络
#
# 生成器 $G$ 用随机数 $z$ 画图片；判别器 $D$ 给每张图片打分，越像真的分越高。两者互相学习（Goodfellow 等 2014）。
# 记 $\mathrm{softplus}(a) = \log(1 + e^a)$，
#
# $$ L_D = \mathbb{E}\,\mathrm{softplus}(-D(x)) + \mathbb{E}\,\mathrm{softplus}(D(G(z))), \qquad
# L_G = \mathbb{E}\,\mathrm{softplus}(-D(G(z))). $$
#
# 这里没有计算任何似然，所以图片清晰；但也没有什么能保证*每一种*图片都会被画出来。不让 $D$ 变成悬崖的，
# 是对它在真图片处的坡度的惩罚 **R1**（Mescheder 等 2018）：$\tfrac{\gamma}{2}\, \mathbb{E}\, \lVert \nabla_x D(x) \rVert^2$。

# %%
import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn import functional as F

from impasto.data import load
from impasto.media.grids import grid
from impasto.models import library

DATA = "glyphs"  # or "mnist"
STEPS = 600
torch.set_num_threads(2)
train = load(DATA, "train")
judge = library.load("mnist-cnn")  # tells digits apart: which of them does a generator draw?

# %% [markdown] lang="en"
# ## The core
# Two small convolutional networks, two optimisers. In the step of $D$ the pictures of $G$ are constants (`no_grad`); in
# the step of $G$ the gradient goes through $D$, whose weights stay as they are.

# %% [markdown] lang="zh-CN"
# ## 核心
# 两个小卷积网络，两个优化器。$D$ 走一步时，$G$ 的图片是常数（`no_grad`）；$G$ 走一步时，梯度穿过 $D$，而 $D$ 的权重不变。

# %%
def networks() -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    generator = nn.Sequential(
        nn.Linear(32, 64 * 7 * 7), nn.Unflatten(1, (64, 7, 7)), nn.ReLU(),
        nn.Upsample(scale_factor=2), nn.Conv2d(64, 32, 3, padding=1), nn.ReLU(),
        nn.Upsample(scale_factor=2), nn.Conv2d(32, 16, 3, padding=1), nn.ReLU(),
        nn.Conv2d(16, 1, 3, padding=1), nn.Tanh(),  # pictures in [-1, 1]
    )
    discriminator = nn.Sequential(
        nn.Conv2d(1, 24, 4, stride=2, padding=1), nn.LeakyReLU(0.2),
        nn.Conv2d(24, 48, 4, stride=2, padding=1), nn.LeakyReLU(0.2),
        nn.Flatten(), nn.Linear(48 * 7 * 7, 128), nn.LeakyReLU(0.2), nn.Linear(128, 1),
    )
    return generator, discriminator


def learn(loss_of_generator, gamma: float):
    generator, discriminator = networks()
    of_g = torch.optim.Adam(generator.parameters(), 1e-3, betas=(0.0, 0.99))
    of_d = torch.optim.Adam(discriminator.parameters(), 1e-3, betas=(0.0, 0.99))
    slopes = []
    for _ in range(STEPS):
        x = 2 * train.batch(torch.randint(len(train), (32,))).images - 1
        x.requires_grad_(gamma > 0)
        with torch.no_grad():
            forged = generator(torch.randn(32, 32))
        real = discriminator(x)
        loss = F.softplus(-real).mean() + F.softplus(discriminator(forged)).mean()
        if gamma:
            (slope,) = torch.autograd.grad(real.sum(), x, create_graph=True)
            loss = loss + gamma / 2 * slope.square().sum((1, 2, 3)).mean()
        of_d.zero_grad()
        loss.backward()
        of_d.step()

        loss = loss_of_generator(discriminator(generator(torch.randn(32, 32))))
        of_g.zero_grad()
        loss.backward()
        of_g.step()
        slopes.append(torch.cat([p.grad.flatten() for p in generator.parameters()]).norm().item())
    return generator, slopes


right = learn(lambda answer: F.softplus(-answer).mean(), gamma=0.2)

# %% [markdown] lang="en"
# ## The mistake: the loss of the formula
# The game of the paper's first page lets $G$ *lower* $\log(1 - \sigma(D(G(z))))$, and tutorials copy it: `loss_g = -loss_d`.
# Where $D$ is sure that a picture is forged, which is so in the beginning, that function is flat: $G$ gets no gradient
# and never begins to learn. The paper says so itself, and takes the loss above. Without the penalty nothing is amiss in
# so few steps; try `gamma=0` with ten times as many.

# %% [markdown] lang="zh-CN"
# ## 常见错误：照抄公式里的损失
# 论文第一页的博弈让 $G$ 去*降低* $\log(1 - \sigma(D(G(z))))$，许多教程照抄成 `loss_g = -loss_d`。
# 当 $D$ 确信图片是假的时（开始时总是这样），这个函数是平的：$G$ 得不到梯度，永远学不起来。论文自己就说了这一点，并改用上面的损失。
# 没有惩罚项，这么少的步数里还看不出问题；把步数加到十倍，再试试 `gamma=0`。

# %%
flat = learn(lambda answer: -F.softplus(answer).mean(), gamma=0.2)
names = ("as it should be", "the loss of the formula")
figure, panels = plt.subplots(2, 2, figsize=(8, 5), height_ratios=[2, 1])
z = torch.randn(1000, 32)
for (above, below), (generator, slopes), name in zip(panels.T, (right, flat), names, strict=True):
    with torch.no_grad():
        pictures = generator(z) / 2 + 0.5
        kinds = judge(pictures).argmax(1).bincount(minlength=10)
    above.imshow(grid(pictures[:40], 10)[0].permute(1, 2, 0))
    above.set_title(name, fontsize=10)
    above.axis("off")
    below.bar(range(10), kinds / 10)
    below.set(xticks=range(10), ylim=(0, 100), ylabel="% of the drawn")
    print(f"{name}: the generator's gradient, mean of the last 50 steps, {sum(slopes[-50:]) / 50:.2g}")
plt.show()

# %% [markdown] lang="en"
# ## With Impasto
# `impasto train gan` has the relativistic loss with R1 and R2 of R3GAN (Huang et al. 2024), the penalty at every eighth
# step, a class for each picture, and averaged weights. `replay` joins the samples of the training, always of the same latents.

# %% [markdown] lang="zh-CN"
# ## 用 Impasto
# `impasto train gan` 使用 R3GAN（Huang 等 2024）的相对损失和 R1、R2，每八步做一次惩罚，每张图片带类别，权重取平均。
# `replay` 把训练过程中画出的图片连成动画，隐变量始终相同。

# %% language="bash"
# impasto train gan --data glyphs --quick --minutes 0.9 --set report_every=100 -o run
# impasto replay run -o learning.gif
# impasto sample run -n 50 --labels 0-9 -o samples.png

# %%
from IPython.display import Image, display

display(Image("run/curves.png", width=800), Image("learning.gif", width=500), Image("samples.png", width=500))

# %% [markdown] lang="en"
# ## Questions
# 1. The loss of $G$ does not fall while the pictures become better. Why is that no bad sign?
# 2. What does $D$ answer in the end, if all goes well?
# 3. Leave out the `no_grad` in the step of $D$, and step with one optimiser for both networks. What is learnt?

# %% [markdown] lang="zh-CN"
# ## 思考题
# 1. 图片越来越好，$G$ 的损失却不下降。为什么这不是坏兆头？
# 2. 如果一切顺利，$D$ 最后会回答什么？
# 3. 去掉 $D$ 那一步里的 `no_grad`，并且两个网络共用一个优化器。会学到什么？
