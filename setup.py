import setuptools

setuptools.setup(setup_requires=['pbr>=7.1'], pbr=True)
